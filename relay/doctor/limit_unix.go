//go:build linux || darwin

package doctor

import "golang.org/x/sys/unix"

// descriptors is the hard limit: a Go program raises its own to that.
func descriptors() (uint64, error) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return l.Max, err
}

func free(folder string) (uint64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(folder, &s)
	return s.Bavail * uint64(s.Bsize), err
}
