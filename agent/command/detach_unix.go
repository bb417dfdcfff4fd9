//go:build unix

package command

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// background has a process outlive the terminal that it is started from.
func background() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// silence has what is written to files go nowhere, so that those who read them meet
// their end. The numbers stay taken: no connection gets that of a stream.
func silence(files ...*os.File) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return // the reader waits until the agent ends
	}
	defer null.Close()
	for _, f := range files {
		_ = unix.Dup2(int(null.Fd()), int(f.Fd()))
	}
}
