//go:build unix

package child

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// A group is a program and what it has started: a process group.
type group struct {
	id       int       // of the group, and of the program
	terminal *terminal // nil if it has none of ours
}

// shell is the command that has the system's shell run a line.
func shell(line string) *exec.Cmd { return exec.Command("/bin/sh", "-c", line) }

// startGroup starts cmd as a group that reads stdin.
func startGroup(cmd *exec.Cmd, stdin *os.File) (*group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	follow(cmd.SysProcAttr)
	tty, err := openTerminal(stdin)
	if err == nil && stdin != nil {
		cmd.Stdin = stdin
	}
	if tty != nil {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, tty.fd
	}
	if err := hearing(cmd.Start); err != nil {
		if tty != nil {
			tty.release(0)
		}
		return nil, err
	}
	id := cmd.Process.Pid
	if tty != nil {
		tty.lent()
	}
	// wait waits by the id, and learns of stops as well.
	return &group{id, tty}, cmd.Process.Release()
}

// wait returns the exit code of the program when it has ended.
func (g *group) wait() int {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(g.id, &status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // somebody else has waited for it
			return 1
		case status.Stopped():
			if g.terminal != nil {
				g.terminal.stopped(g.id, status.StopSignal())
			}
		case status.Exited():
			return status.ExitStatus()
		default:
			return 128 + int(status.Signal())
		}
	}
}

// gone reports whether nothing is left of a group whose program has ended.
func (g *group) gone() bool {
	for { // what is left to this process, if it is the first of a container
		if pid, err := syscall.Wait4(-g.id, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
			break
		}
	}
	if errors.Is(syscall.Kill(-g.id, 0), syscall.ESRCH) {
		return true
	}
	if running(g.id) {
		return false
	}
	g.kill() // one that was started while the others were looked at
	return true
}

// signal sends sig to the group, whose stopped processes see it, too.
func (g *group) signal(sig syscall.Signal) {
	// It may have ended meanwhile, which wait and gone tell.
	_ = syscall.Kill(-g.id, sig)
	_ = syscall.Kill(-g.id, syscall.SIGCONT)
}

func (g *group) kill() { _ = syscall.Kill(-g.id, syscall.SIGKILL) }

// release takes the terminal back.
func (g *group) release() {
	if g.terminal != nil {
		g.terminal.release(g.id)
	}
}
