//go:build unix

package child

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// errBackground says that this process may not read its terminal.
var errBackground = errors.New("in the background")

// stopTime bounds the wait for a stop of this process to happen: none does in a
// group that no shell looks after.
const stopTime = 100 * time.Millisecond

// A terminal is that of this process, which is lent to a group.
type terminal struct {
	fd    int
	own   int // this process's group
	state *term.State
}

// openTerminal returns the terminal that stdin is, nil if it is none of this
// process's, and errBackground if this process is not its foreground.
func openTerminal(stdin *os.File) (*terminal, error) {
	if stdin == nil {
		return nil, nil
	}
	t := &terminal{fd: int(stdin.Fd()), own: syscall.Getpgrp()}
	foreground, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	switch {
	case err != nil:
		return nil, nil // no terminal, or that of others, who look after it
	case foreground != t.own:
		return nil, errBackground
	}
	if t.state, err = term.GetState(t.fd); err != nil {
		return nil, nil
	}
	return t, nil
}

// lent notes that a group that was started has the foreground. This process is
// then in the background, and writes all the same, from then on.
func (t *terminal) lent() { signal.Ignore(syscall.SIGTTOU) }

// hearing calls start, which starts a program that is to hear SIGTTOU though this
// process ignores it: what is ignored stays so in a program (execve(2)). Meanwhile a
// write in the background is tried again and again.
func hearing(start func() error) error {
	if !signal.Ignored(syscall.SIGTTOU) {
		return start()
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTTOU)
	defer signal.Ignore(syscall.SIGTTOU)
	return start()
}

// foreground makes group the one that reads, if from is, or whichever is if from
// is 0.
func (t *terminal) foreground(from, group int) {
	if now, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err == nil && (now == from || from == 0) {
		// It fails when the terminal has gone, and nobody reads it any more.
		_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
	}
}

// release takes the terminal back from group, or from whichever has it if that is
// 0, as it was when it was lent.
func (t *terminal) release(group int) {
	signal.Ignore(syscall.SIGTTOU) // it comes to those in the background who do this
	t.foreground(group, t.own)
	_ = term.Restore(t.fd, t.state)
}

// stopped has this process stop with a group that the terminal, or a read in the
// background, has stopped, and go on with it: to the shell that started this
// process, both are one.
func (t *terminal) stopped(group int, sig syscall.Signal) {
	if sig != syscall.SIGTSTP && sig != syscall.SIGTTIN && sig != syscall.SIGTTOU {
		return // whoever sent that will send what undoes it
	}
	now, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if sig == syscall.SIGTSTP || err == nil && now != t.own {
		t.stop(group)
	}
	t.foreground(t.own, group)
	_ = syscall.Kill(-group, syscall.SIGCONT)
}

// stop stops this process until its shell has it go on.
func (t *terminal) stop(group int) {
	on := make(chan os.Signal, 1)
	signal.Notify(on, syscall.SIGCONT)
	defer signal.Stop(on)
	t.foreground(group, t.own)
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-on:
	case <-time.After(stopTime):
	}
}
