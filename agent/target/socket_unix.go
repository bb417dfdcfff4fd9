//go:build unix

package target

import (
	"io"
	"os"
	"syscall"
)

const canTry = true

// tryRead reads from a descriptor that does not block. It fails with
// os.ErrDeadlineExceeded if there is nothing to read. p is not empty.
func tryRead(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, os.ErrDeadlineExceeded
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// over reports whether the peer has ended the connection behind s. It takes
// nothing from what there is to read.
func (s *socket) over() bool {
	if s.raw == nil {
		return false
	}
	over := false
	err := s.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		over = err == nil && n == 0 || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
		return true
	})
	return over || err != nil
}
