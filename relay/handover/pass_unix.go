//go:build unix

package handover

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pass writes p, and with its first byte the descriptors of sockets.
func pass(to *net.UnixConn, p []byte, sockets []syscall.Conn) error {
	return withDescriptors(sockets, nil, func(fds []int) error {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		n, _, err := to.WriteMsgUnix(p, rights, nil)
		if err == nil && n < len(p) {
			_, err = to.Write(p[n:])
		}
		return err
	})
}

// withDescriptors calls fn with the descriptors of sockets behind fds. None is
// closed meanwhile.
func withDescriptors(sockets []syscall.Conn, fds []int, fn func([]int) error) error {
	if len(sockets) == 0 {
		return fn(fds)
	}
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = withDescriptors(sockets[1:], append(fds, int(fd)), fn)
	}); err != nil {
		return err
	}
	return failed
}

// receive reads into p, and gives the descriptors that came along.
func receive(from *net.UnixConn, p []byte) (n int, files []*os.File, err error) {
	rights := make([]byte, unix.CmsgSpace(maxSockets*4))
	n, k, flags, _, err := from.ReadMsgUnix(p, rights)
	if err != nil {
		return 0, nil, err // n is -1
	}
	messages, err := unix.ParseSocketControlMessage(rights[:k])
	if err != nil {
		return n, nil, fmt.Errorf("what came with the message: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd) // where the system has not done it
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		for _, f := range files {
			f.Close()
		}
		return 0, nil, fmt.Errorf("more than %d descriptors came, or there is no room for them", maxSockets)
	}
	return n, files, nil
}
