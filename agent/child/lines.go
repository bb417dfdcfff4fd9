package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxLine bounds a line: a longer one becomes several.
	maxLine = 16 << 10

	// promptTime is how long the end of a line is waited for, when it may be a
	// question that waits for an answer.
	promptTime = 100 * time.Millisecond
)

// A stream is a file that may have deadlines.
type stream interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// splitLines calls line for each line that comes, until r ends. If r asks
// questions, a line that does not end soon is one as well.
func splitLines(r stream, asks bool, line func(string)) {
	s := splitter{line: line}
	buf := make([]byte, maxLine)
	for {
		if asks {
			var until time.Time
			if s.n > 0 {
				until = time.Now().Add(promptTime)
			}
			// Where pipes have no deadlines, a question is seen with the next line.
			_ = r.SetReadDeadline(until)
		}
		n, err := r.Read(buf)
		s.feed(buf[:n])
		switch {
		case asks && errors.Is(err, os.ErrDeadlineExceeded):
			s.flush()
		case err != nil:
			s.flush()
			return
		}
	}
}

// A splitter makes lines of what it is fed.
type splitter struct {
	line func(string)
	buf  [maxLine]byte
	n    int  // bytes in buf, which is a line that goes on
	cut  bool // the line began in one that was too long
}

func (s *splitter) feed(b []byte) {
	for len(b) > 0 {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i <= len(s.buf)-s.n {
			s.n += copy(s.buf[s.n:], b[:i])
			b = b[i+1:]
			if s.n > 0 || !s.cut {
				s.emit()
			}
			s.cut = false
			continue
		}
		n := copy(s.buf[s.n:], b)
		s.n += n
		b = b[n:]
		if s.n == len(s.buf) {
			s.emit()
			s.cut = true
		}
	}
}

// flush makes a line of what has no end.
func (s *splitter) flush() {
	if s.n > 0 {
		s.emit()
		s.cut = true
	}
}

func (s *splitter) emit() {
	text := clean(s.buf[:s.n])
	s.n = 0
	s.line(text)
}

// clean gives a line as it can be shown below others: what would be overwritten
// is left out, and so is all that steers a terminal but colours, which end with
// the line. Bytes that are not UTF-8 become U+FFFD.
func clean(b []byte) string {
	b = bytes.TrimRight(b, "\r")
	b = b[bytes.LastIndexByte(b, '\r')+1:]
	if bytes.IndexFunc(b, func(r rune) bool { return control(r) || r == utf8.RuneError }) < 0 {
		return string(b)
	}
	var out strings.Builder
	styled := false
	for len(b) > 0 {
		if b[0] == 0x1b {
			n := sequence(b)
			if b[n-1] == 'm' && style(b[:n]) {
				out.Write(b[:n])
				styled = true
			}
			b = b[n:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if !control(r) {
			out.WriteRune(r)
		}
		b = b[n:]
	}
	if styled {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// control reports whether r steers a terminal: C0 but the tabulator, DEL, C1.
func control(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 }

// style reports whether an escape sequence is CSI … m with parameters alone.
func style(seq []byte) bool {
	return len(seq) > 2 && seq[1] == '[' && bytes.IndexFunc(seq[2:len(seq)-1], func(r rune) bool {
		return (r < '0' || r > '9') && r != ';' && r != ':'
	}) < 0
}

// sequence gives the length of the escape sequence that b begins with (ECMA-48
// 5.3 to 5.6), as far as it goes.
func sequence(b []byte) int {
	if len(b) == 1 {
		return 1
	}
	i := 1
	switch b[1] {
	case '[': // CSI: parameters and intermediates, and a final byte
		for i = 2; i < len(b) && b[i] >= 0x20 && b[i] < 0x40; i++ {
		}
	case ']', 'P', 'X', '^', '_': // a string, until BEL or ST
		for i = 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
		}
	default: // intermediates and a final byte
		for i < len(b) && b[i] >= 0x20 && b[i] < 0x30 {
			i++
		}
	}
	if i < len(b) && b[i] >= 0x20 && b[i] < 0x7f {
		i++
	}
	return min(i, len(b))
}
