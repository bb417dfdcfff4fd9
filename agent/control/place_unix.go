//go:build unix

package control

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// own reports whether a file is the user's.
func own(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid()
}

// isNobody reports whether err is that nobody listens at a socket.
func isNobody(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
