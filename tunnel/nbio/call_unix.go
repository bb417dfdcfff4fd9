//go:build unix && (!linux || race)

package nbio

import "syscall"

const canTry = true

// read reads from a descriptor that does not block. p is not empty.
func read(fd uintptr, p []byte) (int, error) {
	return repeat(syscall.Read, fd, p)
}

// write writes to a descriptor that does not block.
func write(fd uintptr, p []byte) (int, error) {
	return repeat(syscall.Write, fd, p)
}

// writeBoth begins to write p and q, with p.
func writeBoth(fd uintptr, p, _ []byte) (int, error) { return write(fd, p) }

func repeat(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err == nil {
			return n, nil
		}
		if err != syscall.EINTR {
			return 0, err
		}
	}
}
