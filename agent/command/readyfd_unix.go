//go:build unix

package command

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var (
	errNotOpen     = errors.New("it is not open")
	errNotWritable = errors.New("it is open for reading alone")
)

// inherit takes over a descriptor that was open when the process began, for this
// process alone. Those that the process has opened itself are closed on exec,
// which those were not.
func inherit(number int) (*os.File, error) {
	flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, errNotOpen
	}
	if flags, err = unix.FcntlInt(uintptr(number), unix.F_GETFL, 0); err != nil {
		return nil, err
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, errNotWritable
	}
	unix.CloseOnExec(number)
	return os.NewFile(uintptr(number), "descriptor"), nil
}
