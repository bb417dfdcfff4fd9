package relay

import (
	"cmp"
	"net"
	"net/netip"
	"slices"

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
// of a front have it. It reports whether the connection is looked into, and
// whether the address may have one more.
func (r *Relay) recognise(d *Door, g *stranger, addr net.Addr) (room, within bool) {
	if r.cfg.Sole || d.isFront(addr) || r.isTrusted(addr) {
		return true, true
	}
	if d.AgentsOnly && r.strangers.barred(addr) {
		return false, false
	}
	return r.strangers.count(g, addr)
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

// refuse tells a visitor that there is no room for them.
func (r *Relay) refuse(nc, conn net.Conn, first []byte, protocol string, why *tunnel.Failure) {
	r.full.Do(func() {
		r.log.Warn("visitors are refused", "reason", why.Detail, "client", conn.RemoteAddr().String())
	})
	defer r.budget.toldSo()
	if !r.budget.tell() {
		conn.Close()
		return
	}
	r.edge.Refuse(nc, conn, first, protocol == "h2", why)
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
		return &tunnel.RejectError{Code: tunnel.RejectOverload, Message: "too many handshakes from this address have failed", RetryAfter: overloadPause}
	}
	return nil
}

// limits sets what the relay is bounded by.
func (r *Relay) limits() {
	r.full.Interval = fullEvery
	r.strangers.each = max(cmp.Or(r.cfg.ConnectionsPerAddress, connectionsEach), 0)
	if r.cfg.Memory > 0 {
		r.windows.Limit = r.cfg.Memory / windowPart
		r.windows.Unread = r.cfg.Memory / unreadPart
		r.uploads.Limit = r.cfg.Memory / uploadPart
	}
	if !r.cfg.Sole { // whose agent takes descriptors, too
		r.budget.limit(cmp.Or(r.cfg.Descriptors, descriptors()))
	}
}
