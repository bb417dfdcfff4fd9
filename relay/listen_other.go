//go:build !linux

package relay

import "net"

// listen listens at a TCP address. Package net sets for each connection what
// finds a peer that has vanished.
func listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
