package admin

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailures is how many wrong tokens an address may send at once, and
	// failureCost the time in which it may send one more.
	maxFailures = 10
	failureCost = 6 * time.Second

	// maxAddresses bounds the addresses that are remembered.
	maxAddresses = 4096
)

// failures remembers who has sent wrong tokens. Its zero value is ready.
type failures struct {
	mu sync.Mutex

	// until is when each address is without blame: so many times failureCost
	// from now as it has failed. Guarded by mu.
	until map[netip.Prefix]time.Time
}

// allow reports whether an address may try a token.
func (f *failures) allow(addr netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until[network(addr)].Sub(now) <= (maxFailures-1)*failureCost
}

// note remembers that an address has failed.
func (f *failures) note(addr netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := network(addr)
	if _, known := f.until[key]; !known && len(f.until) >= maxAddresses {
		f.forget(now)
	}
	if f.until == nil {
		f.until = make(map[netip.Prefix]time.Time)
	}
	until := f.until[key]
	if until.Before(now) {
		until = now
	}
	f.until[key] = until.Add(failureCost)
}

// forget makes room: those without blame go, or whoever has least; mu is held.
func (f *failures) forget(now time.Time) {
	var least netip.Prefix
	var soonest time.Time
	for key, until := range f.until {
		if !until.After(now) {
			delete(f.until, key)
		} else if soonest.IsZero() || until.Before(soonest) {
			least, soonest = key, until
		}
	}
	if len(f.until) >= maxAddresses {
		delete(f.until, least)
	}
}

// network is what one stranger has at least: an address of IPv4, or 64 bits of
// IPv6.
func network(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // what has no address
	}
	return p
}
