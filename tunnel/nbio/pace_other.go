//go:build !linux

package nbio

import (
	"net"
	"syscall"
)

// unpace does nothing where the system has no such option.
func unpace(net.Conn, syscall.RawConn) {}
