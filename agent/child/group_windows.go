package child

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A group is a program and what it has started: a job of Windows's.
type group struct {
	process *os.Process
	job     windows.Handle
}

// shell is the command that has the system's shell run a line.
func shell(line string) *exec.Cmd {
	cmd := exec.Command("cmd.exe")
	// cmd has rules of its own for quotes; with /s it takes what stands between
	// the outermost as it is.
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /s /c "` + line + `"`}
	return cmd
}

// startGroup starts cmd as a group that reads stdin. What cmd starts before it has
// its job, in its first moments, is not in it.
func startGroup(cmd *exec.Cmd, stdin *os.File) (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		windows.CloseHandle(job)
		return nil, err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.CreationFlags = windows.CREATE_NEW_PROCESS_GROUP
	if stdin != nil {
		cmd.Stdin = stdin
	}
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return nil, err
	}
	// A program in no job ends alone.
	_ = cmd.Process.WithHandle(func(handle uintptr) {
		_ = windows.AssignProcessToJobObject(job, windows.Handle(handle))
	})
	return &group{cmd.Process, job}, nil
}

// wait returns the exit code of the program when it has ended.
func (g *group) wait() int {
	state, err := g.process.Wait()
	if err != nil {
		return 1
	}
	return state.ExitCode()
}

// gone reports whether nothing is left of a group whose program has ended: what
// is left is ended by that.
func (g *group) gone() bool {
	g.kill()
	return true
}

// signal presses the keys that Windows has for it.
func (g *group) signal(syscall.Signal) {
	if windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(g.process.Pid)) != nil {
		g.kill() // there is no console
	}
}

func (g *group) kill() {
	// They have ended already, where this fails.
	_ = windows.TerminateJobObject(g.job, 1)
	_ = g.process.Kill()
}

func (g *group) release() { windows.CloseHandle(g.job) }
