//go:build unix

package acme

import (
	"os/exec"
	"syscall"
)

// together makes the end of a command by its context that of all the processes it
// has started.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
