package terminal

import (
	"fmt"
	"slices"
	"time"

	"share/agent"
)

// A Tunnel is one of several that an agent has.
type Tunnel struct {
	Label  string    // what its events have as Tunnel
	Target string    // as the user named it
	Since  time.Time // when it was bound: what happened before is about another with its label
	Ended  bool      // it serves no more
	Reason string    // why it was given up, empty if it was stopped
	Gauge  agent.Gauge
}

const (
	widestLabel = 16 // columns of a label
	shortLabel  = 8  // of one in a narrow window

	roomForLabel = 32 // from which width on lines have one

	// belowTunnels is how many lines a window needs beside the rows of tunnels: the
	// rest of the box, the keys, and one for requests.
	belowTunnels = 8
)

// bind has a board for each of the tunnels that there are now, in their order. Those
// that are what they were keep theirs.
func (m *model) bind(tunnels []Tunnel) {
	before := m.tunnels
	m.tunnels = nil
	column, open := 0, 0
	for _, t := range tunnels {
		i := slices.IndexFunc(before, func(b *board) bool { return b.bound.Label == t.Label && b.bound.Since.Equal(t.Since) })
		b := &board{state: state{target: t.Target}}
		if i >= 0 {
			b = before[i]
		}
		b.bound, b.gauge, b.now = t, t.Gauge, m.board.now
		m.tunnels = append(m.tunnels, b)
		column = max(column, min(len(escape(t.Label)), widestLabel)+1)
		open += t.Gauge.Open
	}
	for _, b := range m.tunnels {
		b.column = column
	}
	if m.cfg.Tunnels != nil {
		m.board.gauge.Open = open
	}
}

// boardOf returns the board that e is about: one of its own if its tunnel is there no
// more.
func (m *model) boardOf(e agent.Event) *board {
	if e.Tunnel == "" {
		return &m.board
	}
	for _, b := range m.tunnels {
		if b.bound.Label == e.Tunnel && !e.Time.Before(b.bound.Since) {
			return b
		}
	}
	return &board{state: state{target: "the target"}, bound: Tunnel{Label: e.Tunnel}, column: len(escape(e.Tunnel)) + 1}
}

// only is the board of the tunnel that keys are about, nil if there are several.
func (m *model) only() *board {
	switch {
	case m.cfg.Tunnels == nil:
		return &m.board
	case len(m.tunnels) == 1:
		return m.tunnels[0]
	}
	return nil
}

// tunnelsBox draws what all tunnels do together, and each of them, as far as the
// window has lines.
func (m *model) tunnelsBox() string {
	st, width := &m.style, min(m.width, widest)
	within := inner(width)
	rows := m.summaryRows(within)
	room := max(min(m.height/2, m.height-belowTunnels), 1)
	each := make([][]row, len(m.tunnels))
	total := 0
	for i, b := range m.tunnels {
		each[i] = b.tunnelRows(st, within)
		total += len(each[i])
	}
	shown := len(each)
	for ; shown > 1 && total > room; shown-- {
		if shown == len(each) {
			room = max(room-1, 1) // for the row that says so
		}
		total -= len(each[shown-1])
	}
	for _, r := range each[:shown] {
		rows = append(rows, r...)
	}
	if hidden := m.tunnels[shown:]; len(hidden) > 0 {
		text := fmt.Sprintf("and %d more", len(hidden))
		if n := len(hidden) - online(hidden, st); n > 0 {
			text += fmt.Sprintf(", %d of them not online", n)
		}
		rows = append(rows, flow([]row{{{text: "  " + text + ": share ls lists them", look: st.dim}}}, piece{}, within)...)
	}
	if m.board.counts.requests > 0 || m.board.gauge.Open > 0 {
		rows = append(rows, labelled(st, "Requests", m.board.countGroups(st), st.dot(), within)...)
	}
	return st.frameAround(rows, width)
}

// online counts the boards of tunnels that are.
func online(boards []*board, st *style) (n int) {
	for _, b := range boards {
		if word, _, _ := b.tunnelPhase(st); word == "online" {
			n++
		}
	}
	return n
}

// summaryRows say how the tunnels do together, and at which relay.
func (m *model) summaryRows(within int) []row {
	st := &m.style
	all, up := len(m.tunnels), online(m.tunnels, st)
	text := func(s string) row { return row{{text: s}} }
	switch {
	case m.board.state.ended != "":
		return st.headed("stopped", false, []row{text(escape(m.board.state.ended))}, within)
	case all == 0:
		return st.headed("starting", false, nil, within)
	}
	count := fmt.Sprintf("%d tunnels", all)
	if all == 1 {
		count = "1 tunnel"
	}
	detail := append([]row{text(count)}, m.relayRows()...)
	if up < all {
		return st.headed(fmt.Sprintf("%d of %d online", up, all), false, detail[1:], within)
	}
	return st.headed("online", true, detail, within)
}

// relayRows say at which relay the tunnels are, and how far that is, or that there
// are several.
func (m *model) relayRows() (groups []row) {
	relay, least := "", time.Duration(0)
	for _, b := range m.tunnels {
		for _, l := range b.state.links {
			if relay != "" && l.relay != relay {
				return []row{{{text: "several relays"}}}
			}
			relay = l.relay
			if trip := b.gauge.Relays[relay].RoundTrip; least == 0 || trip > 0 && trip < least {
				least = trip
			}
		}
	}
	if relay != "" {
		groups = append(groups, row{{text: relayName(relay)}})
	}
	if least >= leastTrip {
		groups = append(groups, row{{text: span(least)}})
	}
	return groups
}

// tunnelPhase is phase, for one of several.
func (b *board) tunnelPhase(st *style) (word string, good bool, detail []row) {
	switch t := &b.bound; {
	case t.Reason != "":
		return "given up", false, []row{{{text: escape(t.Reason)}}}
	case t.Ended:
		return "stopped", false, nil
	}
	return b.phase(st)
}

// tunnelRows show one of several tunnels: where visitors come in and what they reach,
// or why they cannot.
func (b *board) tunnelRows(st *style, within int) []row {
	word, good, groups := b.tunnelPhase(st)
	between := st.dot()
	if s := &b.state; word == "online" || word == "target down" {
		groups, between = nil, piece{text: "  "}
		for _, url := range s.urls() {
			groups = append(groups, row{st.urlPiece(url)})
		}
		groups = append(groups, b.targetRow(st))
		if best := s.best(); !best.verified {
			groups = append(groups, row{{text: "not verified: " + escape(best.reason), look: st.fair}})
		}
	} else {
		groups = append([]row{{{text: word, look: st.strong}}}, groups...)
	}
	switch n := b.counts.requests; {
	case n == 1:
		groups = append(groups, row{{text: "1 request", look: st.dim}})
	case n > 1:
		groups = append(groups, row{{text: number(n) + " requests", look: st.dim}})
	}
	column := max(labelling-2, b.column+1)
	label := piece{text: st.cut(escape(b.bound.Label), column-2), look: st.strong}
	if within+frameSides < roomForBy {
		return flow(append([]row{{st.sign(good), label}}, groups...), between, within)
	}
	label.text = fmt.Sprintf("%-*s", column, label.text)
	return hang(row{st.sign(good), label}, column+2, groups, between, within)
}
