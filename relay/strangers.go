package relay

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxStrangers bounds the connections that have not shown yet what they
	// are for, and maxStrangersEach those of one address. Each costs a TLS
	// handshake's memory. When there are as many, the oldest makes room for the
	// next that has said nothing for strangerAge, or that is from an address
	// with more than fewStrangers. If there is none, the next is turned back.
	maxStrangers     = 2048
	maxStrangersEach = 1024
	fewStrangers     = 32
	strangerAge      = time.Second

	// connectionsEach bounds the connections of one address, unless a Config
	// does. Visitors behind one address are many, and browsers open six each.
	connectionsEach = 2000
)

// strangers keeps the connections that have not shown yet what they are for, and
// what is known of the addresses from which connections come. It may be used by
// many goroutines.
type strangers struct {
	each int // connections of one address; 0 for any number

	mu        sync.Mutex
	all       list.List                 // guarded by mu; of *stranger, the oldest first
	addresses map[netip.Prefix]*address // guarded by mu
	others    address                   // guarded by mu; of the addresses beyond maxAddresses
	draining  bool                      // guarded by mu
}

// A stranger is a connection that was accepted.
type stranger struct {
	conn    net.Conn
	since   time.Time
	crowded bool          // there was no room for it; never changes
	from    *address      // guarded by strangers.mu; nil if it does not count
	place   *list.Element // guarded by strangers.mu; nil once it has shown what it is for
}

// greet takes a connection that was accepted; nil once drain was called.
func (s *strangers) greet(conn net.Conn) *stranger {
	g := &stranger{conn: conn, since: time.Now()}
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		return nil
	}
	var victim *stranger
	if s.all.Len() >= maxStrangers {
		victim = s.yield(g.since)
		g.crowded = victim == nil
	}
	if !g.crowded {
		g.place = s.all.PushBack(g)
	}
	s.mu.Unlock()
	victim.close()
	return g
}

// count notes the address from which g comes. It reports whether there is room
// for one more of its strangers, and whether the address may have one more
// connection at all.
func (s *strangers) count(g *stranger, addr net.Addr) (room, within bool) {
	prefix, ok := prefixOf(addr)
	if !ok {
		return !g.crowded, true
	}
	s.mu.Lock()
	from := s.address(prefix)
	var victim *stranger
	full := from.strangers >= maxStrangersEach
	if full && g.place != nil {
		if victim = s.oldest(from); time.Since(victim.since) < strangerAge {
			victim = nil
		} else {
			s.forget(victim)
		}
	}
	if g.place != nil && (!full || victim != nil) {
		g.from = from
		from.strangers++
		from.connections++
		room, within = true, s.each == 0 || from.connections <= s.each
	}
	s.mu.Unlock()
	victim.close()
	return room, within
}

// yield takes one from the strangers to make room for another; nil if none is to
// go. Those of an address that has many yield at once: they are an attack's, and
// others shall not feel it. mu is held.
func (s *strangers) yield(now time.Time) *stranger {
	for e := s.all.Front(); e != nil; e = e.Next() {
		g := e.Value.(*stranger)
		if now.Sub(g.since) >= strangerAge || g.from != nil && g.from.strangers > fewStrangers {
			s.forget(g)
			return g
		}
	}
	return nil
}

// close ends the connection of a stranger, if there is one.
func (g *stranger) close() {
	if g != nil {
		g.conn.Close()
	}
}

// oldest returns the oldest stranger from an address that has some; mu is held.
func (s *strangers) oldest(from *address) *stranger {
	e := s.all.Front()
	for e.Value.(*stranger).from != from {
		e = e.Next()
	}
	return e.Value.(*stranger)
}

// len is how many there are.
func (s *strangers) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Len()
}

// met notes that a connection has shown what it is for, or has ended.
func (s *strangers) met(g *stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(g)
}

// forget takes a connection from the strangers; mu is held.
func (s *strangers) forget(g *stranger) {
	if g.place == nil {
		return
	}
	s.all.Remove(g.place)
	g.place = nil
	if g.from != nil {
		g.from.strangers--
	}
}

// gone notes that a connection has ended, or does not count any more.
func (s *strangers) gone(g *stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(g)
	if g.from != nil {
		g.from.connections--
		g.from = nil
	}
}

// drain closes the strangers, and takes no one any more.
func (s *strangers) drain() {
	s.mu.Lock()
	s.draining = true
	var all []*stranger
	for e := s.all.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*stranger))
	}
	s.mu.Unlock()
	for _, g := range all {
		g.close()
	}
}
