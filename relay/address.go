package relay

import (
	"net"
	"net/netip"

	"golang.org/x/time/rate"
)

const (
	// failureRate and failureBurst bound the handshakes of agents at one
	// address that fail.
	failureRate  = 5 // a second
	failureBurst = 100

	// maxAddresses bounds the addresses that are known. All others are one.
	maxAddresses = 1 << 16

	// networkBits of an IPv6 address are those of one customer (RFC 6177).
	networkBits = 64
)

// An address is what is known of where connections come from. It is guarded by
// strangers.mu.
type address struct {
	strangers   int           // of its connections
	connections int           // that are open, but for those of agents
	failures    *rate.Limiter // of agents' handshakes; nil before the first
}

// prefixOf is what counts as one address; false for what has none.
func prefixOf(addr net.Addr) (netip.Prefix, bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = networkBits
	}
	p, err := ip.Prefix(bits)
	return p, err == nil && p.IsValid()
}

// address returns what is known of one; mu is held.
func (s *strangers) address(prefix netip.Prefix) *address {
	a := s.addresses[prefix]
	switch {
	case a != nil:
		return a
	case len(s.addresses) >= maxAddresses:
		return &s.others
	case s.addresses == nil:
		s.addresses = make(map[netip.Prefix]*address)
	}
	a = new(address)
	s.addresses[prefix] = a
	return a
}

// failed notes that the handshake of an agent at addr has failed, and reports
// whether that is worth a line of the log.
func (s *strangers) failed(addr net.Addr) bool {
	prefix, ok := prefixOf(addr)
	if !ok {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.address(prefix)
	if a.failures == nil {
		a.failures = rate.NewLimiter(failureRate, failureBurst)
	}
	return a.failures.Allow()
}

// barred reports whether so many handshakes of agents at addr have failed that
// no other is begun.
func (s *strangers) barred(addr net.Addr) bool {
	prefix, ok := prefixOf(addr)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.addresses[prefix]
	if a == nil && len(s.addresses) >= maxAddresses {
		a = &s.others
	}
	return a != nil && a.failures != nil && a.failures.Tokens() < 1
}

// prune forgets the addresses that have neither connections nor failures.
func (s *strangers) prune() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for prefix, a := range s.addresses {
		if a.connections == 0 && (a.failures == nil || a.failures.Tokens() >= failureBurst) {
			delete(s.addresses, prefix)
		}
	}
}
