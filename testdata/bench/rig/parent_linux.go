package rig

import "syscall"

// dieWithParent has the kernel stop the child when this process dies, so that
// an interrupted run leaves nothing behind.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
