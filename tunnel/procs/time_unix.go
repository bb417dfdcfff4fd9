//go:build unix

package procs

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of all processors so far; false if that
// is not known.
func cpuTime() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
