package admin

import (
	"net"
	"net/netip"
	"sync"
)

// A crowd is a listener that takes no more than maxConnsEach connections from an
// address at a time. It closes what is beyond.
type crowd struct {
	net.Listener

	mu   sync.Mutex
	open map[netip.Prefix]int // guarded by mu; connections that were taken
}

func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		key := network(addrOf(conn.RemoteAddr().String()))
		if c.enter(key) {
			return &member{conn, sync.OnceFunc(func() { c.leave(key) })}, nil
		}
		conn.Close()
	}
}

// enter counts a connection, and reports whether there is room for it.
func (c *crowd) enter(key netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key] >= maxConnsEach {
		return false
	}
	if c.open == nil {
		c.open = make(map[netip.Prefix]int)
	}
	c.open[key]++
	return true
}

// leave takes back what enter counted.
func (c *crowd) leave(key netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key]--; c.open[key] == 0 {
		delete(c.open, key)
	}
}

// A member is a connection of a crowd.
type member struct {
	net.Conn
	leave func()
}

func (m *member) Close() error {
	defer m.leave()
	return m.Conn.Close()
}
