//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// continued gets a token when the process was stopped and goes on.
func continued() (_ <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCONT)
	return c, func() { signal.Stop(c) }
}

// suspend stops the process as ctrl+z does where it is no key, and returns when it
// goes on.
func suspend(continued <-chan os.Signal) {
	// An error means that nothing was stopped.
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-continued:
	case <-time.After(stopTime):
	}
}

// stopTime is how long a process may take to be stopped. One that no shell could
// have go on never is.
const stopTime = 200 * time.Millisecond

// foreground reports whether the terminal is this process's: one in the background
// is stopped when it sets modes or reads keys. A terminal without job control is
// everyone's.
func foreground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == syscall.Getpgrp()
}
