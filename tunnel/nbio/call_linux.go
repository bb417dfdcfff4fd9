//go:build !race

package nbio

import (
	"syscall"
	"unsafe"
)

const canTry = true

// read reads from a descriptor that does not block, without a word to the
// scheduler. p is not empty.
func read(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_READ, fd, p)
}

// write writes to a descriptor that does not block, likewise.
func write(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_WRITE, fd, p)
}

// writeBoth writes p and q, which are not empty.
func writeBoth(fd uintptr, p, q []byte) (int, error) {
	vec := [2]syscall.Iovec{{Base: &p[0]}, {Base: &q[0]}}
	vec[0].SetLen(len(p))
	vec[1].SetLen(len(q))
	return repeat(syscall.SYS_WRITEV, fd, unsafe.Pointer(&vec), len(vec))
}

func call(trap, fd uintptr, p []byte) (int, error) {
	return repeat(trap, fd, unsafe.Pointer(unsafe.SliceData(p)), len(p))
}

func repeat(trap, fd uintptr, arg unsafe.Pointer, n int) (int, error) {
	for {
		r, _, errno := syscall.RawSyscall(trap, fd, uintptr(arg), uintptr(n))
		switch errno {
		case 0:
			return int(r), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
