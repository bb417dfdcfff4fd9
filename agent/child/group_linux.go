package child

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// follow has a program get SIGTERM when the thread ends that starts it, such as
// when this process is killed.
func follow(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }

// running reports whether a group that there is has a process that has not ended:
// it may have none but those that nobody has waited for, which the first process of
// a container often does not.
func running(group int) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	want, seen := strconv.Itoa(group), false
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it is gone
		}
		// proc_pid_stat(5): the name, which may hold anything, is in parentheses;
		// state, parent and group follow.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 3 || string(fields[2]) != want {
			continue
		}
		if seen = true; fields[0][0] != 'Z' && fields[0][0] != 'X' {
			return true
		}
	}
	return !seen // it has some that are hidden from this user
}
