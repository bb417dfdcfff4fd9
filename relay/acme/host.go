package acme

import (
	"context"
	"crypto/tls"
	"slices"
	"time"
)

const (
	// orderEvery and orderBurst bound the certificates that are obtained for
	// single hosts. A CA has bounds of its own, which what strangers and
	// agents do must not use up.
	orderEvery = 10 * time.Minute
	orderBurst = 20

	// maxAsked bounds the hosts that wait for an order.
	maxAsked = 100

	// maxHosts bounds the hosts whose certificates are in memory.
	maxHosts = 10_000

	// forgetAfter is how long it is remembered that a host got no certificate.
	forgetAfter = time.Hour

	// demandWait bounds how long a handshake waits for a certificate: less
	// than a relay lets it last.
	demandWait = 8 * time.Second
)

// A host is what is known of the certificate of one.
type host struct {
	pair     *tls.Certificate // nil if there is none
	due      time.Time        // when it is looked at next
	failures int              // since the last success
	err      error            // why the last order failed, nil if it did not
	ordered  chan struct{}    // closed when the order under way has ended; nil if none is
}

// shown returns the certificate of a host, and why the last order for one
// failed if there is none.
func (c *Certificates) shown(name string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	if h == nil {
		return nil, nil
	}
	if h.pair != nil {
		return h.pair, nil
	}
	return nil, h.err
}

// demand returns the certificate of a host that is not among the fixed ones,
// and waits for it if it has to be obtained first.
func (c *Certificates) demand(ctx context.Context, name string) (*tls.Certificate, error) {
	if pair, _ := c.shown(name); pair != nil {
		return pair, nil
	}
	ordered, err := c.order(name)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(demandWait)
	defer timer.Stop()
	select {
	case <-ordered:
	case <-timer.C:
	case <-ctx.Done():
	}
	pair, err := c.shown(name)
	if pair == nil && err == nil {
		err = errNotYet
	}
	return pair, err
}

// wants returns what may be done for a host now.
func (c *Certificates) wants(name string) Want {
	c.mu.Lock()
	want := c.want
	c.mu.Unlock()
	if want == nil {
		return Nothing
	}
	return want(name)
}

// order has a certificate obtained for a host that may have one, unless that failed
// a short time ago, or looked for among those that were obtained before. What it
// returns is closed when the order has ended.
func (c *Certificates) order(name string) (<-chan struct{}, error) {
	if c.wants(name) == Nothing {
		return nil, errUnwanted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	switch {
	case h != nil && h.ordered != nil:
		return h.ordered, nil
	case h != nil && h.err != nil && time.Now().Before(h.due):
		return nil, h.err
	case h == nil && len(c.hosts) >= maxHosts:
		return nil, errTooMany
	case h == nil:
		h = new(host)
	}
	select {
	case c.asked <- name:
	default:
		return nil, errTooMany
	}
	h.ordered = make(chan struct{})
	c.hosts[name] = h
	return h.ordered, nil
}

// settle notes how an order for a host ended, and when it is looked at next.
func (c *Certificates) settle(name string, err error) host {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.hosts[name]
	if state == nil {
		return host{}
	}
	state.err = err
	state.due = time.Now().Add(lookEvery)
	if err == nil {
		state.failures = 0
	} else {
		state.due = time.Now().Add(c.pause(state.failures))
		state.failures++
	}
	if state.ordered != nil {
		close(state.ordered)
		state.ordered = nil
	}
	return *state
}

// show makes a certificate the one that is shown. One that is shown already
// stays, as those who compare them want.
func (c *Certificates) show(name string, pair *tls.Certificate) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	if h == nil || h.pair != nil && h.pair.Leaf.Equal(pair.Leaf) {
		return false
	}
	h.pair = pair
	return true
}

// forget drops a host whose certificate is not shown any more.
func (c *Certificates) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[name]; h != nil && h.ordered == nil {
		delete(c.hosts, name)
	}
}

// dismiss ends the order for a host that does not get a certificate now. How often
// that has failed stays known.
func (c *Certificates) dismiss(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	if h == nil || h.ordered == nil {
		return // it was settled meanwhile
	}
	close(h.ordered)
	if h.ordered = nil; h.failures == 0 {
		delete(c.hosts, name)
	}
}

// ended reports whether the certificate of a host has ended.
func (c *Certificates) ended(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[name]
	return h == nil || h.pair == nil || time.Now().After(h.pair.Leaf.NotAfter)
}

// due returns the hosts whose certificates are to be looked at, and when the
// next one is. A single host that has none is left to who asks for it, and
// forgotten when nobody does.
func (c *Certificates) due(now time.Time) (names []string, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next = now.Add(lookEvery)
	for name, h := range c.hosts {
		switch {
		case h.ordered != nil: // a worker has it
		case h.pair == nil && !slices.Contains(c.fixed, name):
			if now.Sub(h.due) > forgetAfter {
				delete(c.hosts, name)
			}
		case !h.due.After(now):
			names = append(names, name)
		case h.due.Before(next):
			next = h.due
		}
	}
	return names, next
}
