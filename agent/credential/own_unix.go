//go:build unix

package credential

import (
	"io/fs"
	"os"
	"syscall"
)

// own reports whether a file is the user's.
func own(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid()
}
