package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"

	"share/relay/meter"
	"share/tunnel"
)

// enter counts a connection that was accepted; budget.leave takes that back. It
// reports whether there is a descriptor for it. When they become scarce, those
// go that are between two requests.
func (r *Relay) enter() bool {
	ok := r.budget.enter()
	if r.budget.scarce() {
		r.budget.shed.Do(r.edge.Shed)
	}
	return ok
}

// recognise notes the address that a connection comes from, unless all visitors
// of a front have it. It returns why the connection is not looked into, nil if it
// is, and reports whether the address may have one more.
func (r *Relay) recognise(d *Door, g *stranger, addr net.Addr) (crowd error, within bool) {
	room, within := !g.crowded, true
	alone := r.cfg.Sole && len(r.cfg.Addresses) == 0
	if !alone && !d.isFront(addr) && !r.isTrusted(addr) {
		if d.AgentsOnly && r.strangers.barred(addr) {
			return errBarred, false
		}
		room, within = r.strangers.count(g, addr)
	}
	if !room {
		return errStrangers, false
	}
	return nil, within
}

// isTrusted reports whether addr is that of a front whose visitors are told
// apart by fields.
func (r *Relay) isTrusted(addr net.Addr) bool {
	prefix, ok := prefixOf(addr)
	return ok && slices.ContainsFunc(r.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(prefix.Addr()) })
}

// refusal is why a visitor who has just come is not served, nil if they are.
func (r *Relay) refusal(within bool) *tunnel.Failure {
	if !within {
		return overload(errAddress)
	}
	return r.budget.why()
}

// refuse has tell say to the visitor behind conn, which is tell's from then on,
// that there is no room for them. One too many is closed.
func (r *Relay) refuse(conn net.Conn, why *tunnel.Failure, tell func()) {
	r.full.Do(func() {
		r.log.Warn("visitors are refused", "reason", why.Detail, "client", conn.RemoteAddr().String())
	})
	defer r.budget.toldSo()
	if !r.budget.tell() {
		r.closeUnanswered(conn, errTold)
		return
	}
	tell()
}

// tell answers a visitor with why they are refused.
func (r *Relay) tell(nc, conn net.Conn, first []byte, protocol string, why *tunnel.Failure) {
	r.meter.Refuse(meter.RefusedOverload)
	r.edge.Refuse(nc, conn, first, protocol == "h2", why)
}

// turnBack ends a connection that is not looked into. Who comes in plain is told
// why, if they say soon what they want. Under TLS that would take a handshake, for
// which there is no room; and agents, at a door of their own, come again.
func (r *Relay) turnBack(ctx context.Context, d *Door, config *tls.Config, conn net.Conn, crowd error) {
	if config != nil || d.AgentsOnly {
		r.closeUnanswered(conn, crowd)
		return
	}
	why := overload(crowd)
	r.refuse(conn, why, func() {
		_, first, protocol, err := d.identify(ctx, nil, conn, strangerAge)
		switch {
		case err != nil:
			r.turnAway(d, conn, err)
		case protocol == tunnel.ALPN && !r.cfg.Sole && !d.Redirect:
			r.reject(unread(conn, first), &tunnel.RejectError{Code: tunnel.RejectOverload, Message: why.Cause.Phrase(), RetryAfter: overloadPause})
		default:
			r.tell(conn, conn, first, protocol, why)
		}
	})
}

// closeUnanswered closes a connection for which there is no room, without a word.
func (r *Relay) closeUnanswered(conn net.Conn, why error) {
	r.meter.Refuse(meter.RefusedOverload)
	r.unanswered.Do(func() {
		r.log.Warn("connections are closed unanswered", "reason", why.Error(), "client", conn.RemoteAddr().String())
	})
	conn.Close()
}

// noRoom is the refusal of an agent for whom there is no room, nil if there is
// some.
func (r *Relay) noRoom(conn net.Conn) error {
	addr := conn.RemoteAddr()
	why := r.budget.why()
	switch {
	case why != nil:
		r.full.Do(func() { r.log.Warn("agents are refused", "reason", why.Detail, "client", addr.String()) })
		return &tunnel.RejectError{Code: tunnel.RejectOverload, Message: why.Cause.Phrase(), RetryAfter: overloadPause}
	case r.strangers.barred(addr) && !r.isTrusted(addr):
		return &tunnel.RejectError{Code: tunnel.RejectOverload, Message: errBarred.Error(), RetryAfter: overloadPause}
	}
	return nil
}

// limits sets what the relay is bounded by.
func (r *Relay) limits() {
	r.full.Interval, r.unanswered.Interval = fullEvery, fullEvery
	r.strangers.each = max(cmp.Or(r.cfg.ConnectionsPerAddress, connectionsEach), 0)
	if r.cfg.Memory > 0 {
		r.windows.Limit = r.cfg.Memory / windowPart
		r.windows.Unread = r.cfg.Memory / unreadPart
		r.uploads.Limit = r.cfg.Memory / uploadPart
	}
	bound := int64(0)
	if !r.cfg.Sole { // whose agent takes descriptors, too
		bound = cmp.Or(r.cfg.Descriptors, descriptors())
	}
	r.budget.limit(bound)
}
