//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
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

// keepInterrupt has ctrl+c send a SIGINT at a terminal in raw mode as at any other:
// the key would wait behind output that the terminal does not take. It stays a key
// where there is nobody to get the signal.
func keepInterrupt(keys *os.File) {
	if _, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPGRP); err != nil {
		return
	}
	state, err := term.GetState(keys.Fd())
	if err != nil {
		return
	}
	const none = 0 // _POSIX_VDISABLE, but on BSDs: no key is that of a NUL byte
	for _, c := range [...]int{unix.VQUIT, unix.VSUSP} {
		state.Cc[c] = none
	}
	state.Cc[unix.VINTR] = 'C' & 0x1f
	state.Lflag |= unix.ISIG
	// An error leaves the key.
	_ = term.SetState(keys.Fd(), state)
}
