package terminal

import "share/agent"

// hosting is what the view knows of the Host that the target sees.
type hosting struct {
	refused bool // the target does not know the visitors'
	own     bool // a key has had it see its own
}

// offerHost has a hint on a refused Host name the key that does what it says.
func (m *model) offerHost(e agent.Event) agent.Event {
	if e.Kind != agent.EventWarning || e.Symptom != agent.HostRefused {
		return e
	}
	if m.board.host.refused = true; m.keys && m.mayHost() {
		e.Hint += ", or press h"
	}
	return e
}

// mayHost reports whether there is a key that has the target see its own Host: as
// long as it sees, and has refused, the visitors'.
func (m *model) mayHost() bool {
	b := &m.board
	return m.cfg.SendOwnHost != nil && b.host.refused && !b.host.own && b.gauge.KeepsHost
}

// sendOwnHost has the target see its own Host.
func (m *model) sendOwnHost() {
	if !m.mayHost() {
		return
	}
	m.cfg.SendOwnHost()
	m.board.host.own = true
	m.answer("the next requests have the target's own Host")
}

// hostRows say so.
func (b *board) hostRows(st *style, within int) []row {
	if !b.host.own {
		return nil
	}
	groups := []row{{{text: "the target sees its own"}}, {{text: "for good: --host-header target", look: st.dim}}}
	return labelled(st, "Host", groups, st.dot(), within)
}
