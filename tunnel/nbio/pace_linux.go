package nbio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unpace lets c send as fast as its peer reads, if that is on this machine. A
// congestion control that paces, as BBR does, looks for a bottleneck on the way;
// loopback has none, and halves its speed by waiting for one.
func unpace(c net.Conn, raw syscall.RawConn) {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return
	}
	// Every kernel has Reno and lets everybody choose it (tcp(7)); one that
	// does not goes on as before.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	})
}
