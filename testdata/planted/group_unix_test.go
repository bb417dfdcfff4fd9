//go:build unix

package planted

import (
	"os/exec"
	"syscall"
)

// together makes the end of command by its context that of all the processes
// it has started.
func together(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
