package command

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// background has a process outlive the console that it is started from.
func background() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// silence has what is written to files go nowhere, so that those who read them meet
// their end.
func silence(files ...*os.File) {
	for _, f := range files {
		f.Close()
	}
}
