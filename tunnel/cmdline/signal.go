package cmdline

import "syscall"

// An Interrupt is a signal that asks the program to stop, as the cause of a
// context that it ended.
type Interrupt struct{ syscall.Signal }

func (i Interrupt) Error() string { return i.String() }
