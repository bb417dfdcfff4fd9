package relay

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// What finds a peer that has vanished from a connection on which nothing is
// written, as package net has it. What lasts, an upgrade or a stream of events,
// needs it.
const (
	aliveIdle     = 15 // seconds of silence
	aliveInterval = 15 // seconds between probes
	aliveProbes   = 9
)

// listen listens at a TCP address. Connections inherit from the listening
// socket what package net would set for each anew, with four system calls.
func listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: keepAlive}
	return lc.Listen(context.Background(), "tcp", addr)
}

// keepAlive sets the options of a socket that is about to listen.
func keepAlive(_, _ string, raw syscall.RawConn) (err error) {
	failed := raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, aliveIdle},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, aliveInterval},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, aliveProbes},
		} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
			}
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
