package edge

import "time"

// A spell is a state of a connection whose duration Edge.watch measures.
type spell struct {
	n    uint64 // counts its beginnings
	seen uint64 // n at an earlier look
	at   time.Time
}

func (s *spell) begin() { s.n++ }

// lasts returns how long a spell has been seen to last.
func (s *spell) lasts(now time.Time) time.Duration {
	if s.n != s.seen || s.at.IsZero() {
		s.seen, s.at = s.n, now
	}
	return now.Sub(s.at)
}

// look is the connection's share of Edge.watch.
func (c *conn2) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gain(calmEach)
	if c.edge.draining.Load() {
		c.leave()
	}
	heading, idle := c.headSpan.lasts(now), c.idleSpan.lasts(now)
	switch {
	case c.ending || c.over:
	case c.heading && heading >= c.edge.headTime(&c.peer):
		c.fault = &connError{codeProtocol, "a head that does not come"}
		c.stopReads()
	case c.busy():
		c.idleSpan.begin()
		if c.leaving {
			c.settleLast(now)
		}
	case c.leaving && (c.hurried() || c.leaveSpan.lasts(now) >= lastRequest), idle >= c.edge.idleTime(&c.peer):
		c.finish()
	case idle > 0:
		c.unpark()
	}
}

// hurried reports whether the connection has to end soon: whoever comes again finds
// nobody, or is refused once more.
func (c *conn2) hurried() bool { return c.edge.closing.Load() || c.peer.refusal != nil }

// leave tells the visitor that the connection comes to its end, once it has begun
// (RFC 9113 3.4). What they send before they learn of it is served; mu is held.
func (c *conn2) leave() {
	if c.leaving || !c.begun || c.ending || c.over {
		return
	}
	c.leaving = true
	c.leaveSpan.begin()
	c.goAway(maxWindow, codeNone, "")
}

// settleLast names the last stream that is served, when what was under way as
// the first GOAWAY was sent has come (RFC 9113 6.8); mu is held.
func (c *conn2) settleLast(now time.Time) {
	learned := lastRequest
	if c.hurried() {
		learned = watchEvery
	}
	if !c.final && c.leaveSpan.lasts(now) >= learned {
		c.final = true
		c.goAway(c.last, codeNone, "")
	}
}

// finish ends a connection without requests; mu is held.
func (c *conn2) finish() {
	c.final, c.ending = true, true
	c.stopReads()
}

// stopReads makes the read under way, and later ones, return; mu is held. Once
// the connection has ended, linger says how long it reads.
func (c *conn2) stopReads() {
	if c.over {
		return
	}
	// A connection that takes no deadline is broken: reads return anyway.
	_ = c.nc.SetReadDeadline(past)
}

// yield has the connection end when the visitor knows of it: on an idle one, too,
// a request may be on its way.
func (c *conn2) yield() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
}

// drain ends the connection when the requests under way are served, and those
// that the visitor sends before they learn of it.
func (c *conn2) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy() && !c.heading {
		c.finish()
	} else {
		c.leave()
	}
}

// answering reports whether a request is under way, or an answer.
func (c *conn2) answering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy()
}

// busy reports whether a request is being served, or what was queued has not
// been taken; mu is held.
func (c *conn2) busy() bool {
	return c.running > 0 || (c.out != nil || c.sending) && !c.broken
}

// closeIdle ends the connection if no request is under way, and reports whether
// none is.
func (c *conn2) closeIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy() || c.heading {
		return false
	}
	c.finish()
	return true
}

// cut ends the connection now; answers under way are visibly cut.
func (c *conn2) cut() {
	c.cancel()
	reset(c.raw)
}
