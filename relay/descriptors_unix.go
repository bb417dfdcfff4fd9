//go:build unix

package relay

import (
	"math"

	"golang.org/x/sys/unix"
)

// descriptors is how many the process may have open, 0 if that is not bounded.
func descriptors() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return int64(limit.Cur)
}
