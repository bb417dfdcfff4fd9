// Package cmdline is what the commands of share have in common: flags that the
// environment can set, arguments in any order, and errors that say what the
// process exits with.
package cmdline

import "fmt"

// What the process exits with when an Error ends it.
const (
	ExitFailed     = 1 // what no other code is for
	ExitUsage      = 2 // a flag or an argument is wrong
	ExitConfig     = 3 // a file is unreadable or invalid
	ExitToken      = 4 // the relay refused the token
	ExitRefused    = 5 // the relay refused the tunnel, or gave its name to another
	ExitUnreached  = 6 // the relay cannot be reached, or is none
	ExitTargetDown = 7 // the target never came up
	ExitTooOld     = 8 // the relay does not speak this version

	// What a command that the user named cannot be run for, as in shells.
	ExitNotRunnable = 126
	ExitNotFound    = 127
)

// An Error is why a command cannot run, or cannot go on: trying again does not
// help until the user has done something.
type Error struct {
	Code    int    // the exit code this means
	Message string // one line: what happened
	Hint    string // one line: what to do; may be empty
	Err     error  // the cause, if any

	Excerpt []string // lines of a file that the message is about; may be empty
}

// Error gives the message alone: the hint is for main to show beside it.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Usage returns an Error for what the user typed.
func Usage(hint, format string, args ...any) *Error {
	return &Error{Code: ExitUsage, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Unusable returns an Error for a file that cannot be used.
func Unusable(hint string, err error) *Error {
	return &Error{Code: ExitConfig, Message: err.Error(), Hint: hint, Err: err}
}

// Failed returns an Error for what no other exit code is for.
func Failed(hint string, err error) *Error {
	return &Error{Code: ExitFailed, Message: err.Error(), Hint: hint, Err: err}
}
