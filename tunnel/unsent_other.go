//go:build !linux

package tunnel

import "net"

// limitUnsent does nothing where the system has no such option.
func limitUnsent(net.Conn) {}
