//go:build unix && !linux

package child

// running reports whether a group that there is has a process that has not ended:
// the first process of the system waits for those that have.
func running(int) bool { return true }
