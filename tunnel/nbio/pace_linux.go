package nbio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unpace keeps the sending of c from being slowed down for a way's sake, if that
// is loopback. BBR looks for the bottleneck on the way and paces for it; there is
// none, and half the speed is lost. Reno goes at up to twice what it has measured.
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
