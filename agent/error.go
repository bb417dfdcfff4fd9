package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// What the process exits with when an Error ends it.
const (
	ExitUsage      = 2 // a flag or the target is wrong
	ExitConfig     = 3 // a file is unreadable or invalid
	ExitToken      = 4 // the relay refused the token
	ExitRefused    = 5 // the relay refused the tunnel, or gave its name to another
	ExitUnreached  = 6 // the relay cannot be reached, or is none
	ExitTargetDown = 7 // the target never came up
	ExitTooOld     = 8 // the relay does not speak this version
)

// An Error is why an agent cannot run, or cannot go on: trying again does not
// help until the user has done something.
type Error struct {
	Code    int    // the exit code this means
	Message string // one line: what happened
	Hint    string // one line: what to do; may be empty
	Err     error  // the cause, if any
}

// Error gives the message alone: the hint is for main to show beside it.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// usage is an Error for what the user typed.
func usage(hint, format string, args ...any) *Error {
	return &Error{Code: ExitUsage, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// reason says err in one line for a state that views show: the operating
// system's words without the addresses that the view shows already.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at the relay's address"
	case errors.As(err, &name) && name.IsNotFound:
		return "the relay's name " + name.Name + " does not resolve"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the relay closed the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection to the relay broke"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "the relay does not answer"
	}
	return oneLine(err.Error())
}

// oneLine makes what a peer wrote fit for a line of text.
func oneLine(s string) string {
	const longest = 500
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), longest)])
	return strings.TrimSpace(s)
}
