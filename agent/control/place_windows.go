package control

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// own is true: a folder's list of who may do what says more than its owner, and is
// that of the user's profile.
func own(fs.FileInfo) bool { return true }

// isNobody reports whether err is that nobody listens at a socket. The names in
// package syscall are not what Windows returns.
func isNobody(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
