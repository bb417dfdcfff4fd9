//go:build unix && !linux

package child

import "syscall"

// follow has a program end with this process where the system can do that.
func follow(*syscall.SysProcAttr) {}

// running reports whether a group that there is has a process that has not ended:
// the first process of the system waits for those that have.
func running(int) bool { return true }
