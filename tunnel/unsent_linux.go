package tunnel

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much the kernel may hold that is not yet on its way: what
// waits there cannot be overtaken by a small exchange (tcp(7),
// TCP_NOTSENT_LOWAT).
const unsentBytes = 32 << 10

// limitUnsent keeps the queue of conn short, if it is a TCP connection.
func limitUnsent(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// A kernel without the option keeps a longer queue.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}
