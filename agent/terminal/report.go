package terminal

import (
	"errors"
	"io"
	"strings"

	"share/tunnel/cmdline"
)

// Report writes what ended the program to w, on one line that says what to do, with
// the lines of a file that it is about below, and returns the exit code that it
// means: 0 if err is nil. It is for errors that no View shows.
func Report(w io.Writer, err error) (code int) {
	if err == nil {
		return 0
	}
	e := asError(err)
	io.WriteString(w, errorLine(e.Message, e.Hint)+excerpt(e.Excerpt)) // there is nowhere left to complain
	return e.Code
}

// asError gives err with its exit code and hint: 1 and none if it has neither.
func asError(err error) *cmdline.Error {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return e
	}
	return &cmdline.Error{Code: 1, Message: err.Error(), Err: err}
}

// errorLine gives what ended the program, and what to do if that is known.
func errorLine(message, hint string) string {
	line := "share: " + escape(message)
	if hint != "" {
		line += ": " + escape(hint)
	}
	return line + "\n"
}

// excerpt gives lines of a file, set in from what is said of them.
func excerpt(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("  " + escape(line) + "\n")
	}
	return b.String()
}
