package terminal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"share/agent"
)

// A board is what the box below the lines shows of a tunnel.
type board struct {
	state  state
	counts counts
	gauge  agent.Gauge
	now    time.Time
	host   hosting

	bound  Tunnel // which of several it is
	column int    // how wide its label is at most, with a space; 0 if it has none
}

// take takes e in, and what it changed.
func (b *board) take(e agent.Event) news {
	if e.Kind == agent.EventRequest {
		b.counts.add(e)
	}
	return b.state.apply(e)
}

const (
	widest    = 100 // columns of the box
	roomForBy = 60  // from which width on rows have a label beside them
	labelling = 12  // columns of a label

	leastTrip = 50 * time.Microsecond // that is shown: a relay in this process has none
)

// box draws the board for a terminal of width columns.
func (b *board) box(st *style, width int) string {
	width = min(width, widest)
	within := inner(width)
	rows := b.stateRows(st, within)
	rows = append(rows, b.urlRows(st, within)...)
	rows = append(rows, b.hostRows(st, within)...)
	if b.counts.requests > 0 || b.gauge.Open > 0 {
		rows = append(rows, labelled(st, "Requests", b.countGroups(st), st.dot(), within)...)
	}
	return st.frameAround(rows, width)
}

// labelled lays groups out behind a label, with between between them, or without
// one if the rows are narrow.
func labelled(st *style, label string, groups []row, between piece, within int) (rows []row) {
	if within+frameSides < roomForBy {
		return flow(groups, between, within)
	}
	return hang(row{{text: fmt.Sprintf("%-*s", labelling, label), look: st.dim}}, labelling, groups, between, within)
}

// dot parts what stands beside each other.
func (st *style) dot() piece {
	if st.ascii {
		return piece{text: " - ", look: st.dim}
	}
	return piece{text: " · ", look: st.dim}
}

// stateRows say in words how the tunnel does, and each relay if there are
// several or the first row does not name it.
func (b *board) stateRows(st *style, within int) (rows []row) {
	word, good, detail := b.phase(st)
	rows = st.headed(word, good, detail, within)
	links := b.state.links
	if len(links) < 2 && (word == "online" || !b.state.linked()) {
		return rows
	}
	for _, l := range links {
		rows = append(rows, labelled(st, "Relay", b.relayGroups(l, st), st.dot(), within)...)
	}
	return rows
}

// headed says in a word how something does, and the rest of it.
func (st *style) headed(word string, good bool, detail []row, within int) []row {
	head := row{st.sign(good), {text: word, look: st.strong}}
	if within+frameSides >= roomForBy {
		head[1].text = fmt.Sprintf("%-*s", max(labelling-2, len(word)+2), word)
		return hang(head, labelling, detail, st.dot(), within)
	}
	groups := append([]row{head}, detail...)
	if len(detail) > 0 && head.width()+1+detail[0].width() <= within {
		groups = append([]row{slices.Concat(head, row{{text: " "}}, detail[0])}, detail[1:]...)
	}
	return flow(groups, st.dot(), within)
}

// sign begins a row about a state.
func (st *style) sign(good bool) piece {
	switch {
	case st.ascii && good:
		return piece{text: "* ", look: st.good}
	case st.ascii:
		return piece{text: "! ", look: st.bad}
	case good:
		return piece{text: "● ", look: st.good}
	}
	return piece{text: "○ ", look: st.bad}
}

// phase gives the state in a word or two, whether it is a good one, and the rest
// of what there is to say of it.
func (b *board) phase(st *style) (word string, good bool, detail []row) {
	s := &b.state
	plain := func(format string, args ...any) []row { return []row{{{text: fmt.Sprintf(format, args...)}}} }
	switch {
	case s.ended != "":
		return "stopped", false, plain("%s", escape(s.ended))
	case s.draining:
		n := b.gauge.Open
		if n == 1 {
			return "draining", false, plain("1 request may still end")
		}
		return "draining", false, plain("%d requests may still end", n)
	case len(s.links) == 0:
		return "starting", false, nil
	case !s.linked():
		l := s.links[0]
		word, why := "connecting", plain("to %s", relayName(l.relay))
		if l.url != "" {
			word = "reconnecting"
		}
		if l.reason != "" {
			why = append(why, b.retryGroups(l)...)
		}
		return word, false, why
	case s.known && !s.up:
		return "target down", false, plain("%s since %s", b.why(s.cause), s.since.Format("15:04"))
	}
	best := s.best()
	if len(s.links) == 1 {
		detail = b.relayGroups(best, st)
	}
	if !best.verified {
		detail = append(detail, row{{text: "not verified: " + escape(best.reason), look: st.fair}})
	}
	return "online", best.verified, detail
}

// relayGroups say how the agent does at a relay.
func (b *board) relayGroups(l *link, st *style) []row {
	groups := []row{{{text: relayName(l.relay)}}}
	if l.via != "" {
		groups = append(groups, row{{text: escape(l.via)}})
	}
	switch {
	case !l.linked && l.reason != "":
		groups = append(groups, b.retryGroups(l)...)
	case !l.linked:
		groups = append(groups, row{{text: "connecting"}})
	case b.gauge.Relays[l.relay].RoundTrip >= leastTrip:
		groups = append(groups, row{{text: span(b.gauge.Relays[l.relay].RoundTrip)}})
	}
	if l.linked && !l.verified && len(b.state.links) > 1 {
		groups = append(groups, row{{text: "not verified: " + escape(l.reason), look: st.fair}})
	}
	return groups
}

// retryGroups say which attempt to reach a relay comes when, and why.
func (b *board) retryGroups(l *link) (groups []row) {
	g := b.gauge.Relays[l.relay]
	text := fmt.Sprintf("attempt %d", max(g.Attempt, 1))
	if wait := g.Next.Sub(b.now); wait >= time.Second {
		text = fmt.Sprintf("attempt %d in %d s", max(g.Attempt, 1), int(wait.Round(time.Second)/time.Second))
	}
	return []row{{{text: text}}, {{text: escape(l.reason)}}}
}

// relayName is a relay's address as short as it is clear.
func relayName(relay string) string { return escape(strings.TrimPrefix(relay, "https://")) }

// urlRows show where visitors come in, and what they reach.
func (b *board) urlRows(st *style, within int) (rows []row) {
	urls, to := b.state.urls(), b.targetRow(st)
	for i, url := range urls {
		groups := []row{{st.urlPiece(url)}}
		if i == len(urls)-1 {
			groups = append(groups, to)
		}
		rows = append(rows, labelled(st, "URL", groups, piece{text: " "}, within)...)
	}
	if len(urls) == 0 {
		rows = labelled(st, "Target", []row{to[1:]}, piece{text: " "}, within)
	}
	return rows
}

// targetRow shows what visitors reach, behind an arrow.
func (b *board) targetRow(st *style) row {
	s := &b.state
	health := "looking"
	look := st.dim
	switch {
	case s.known && s.up:
		health, look = "up", st.good
	case s.known:
		health, look = "down "+s.since.Format("15:04"), st.bad
	}
	arrow := "→ "
	if st.ascii {
		arrow = "-> "
	}
	return row{{text: arrow, look: st.dim}, {text: escape(s.target)}, {text: " (" + health + ")", look: look}}
}

// countGroups say what the requests add up to.
func (b *board) countGroups(st *style) (groups []row) {
	c := &b.counts
	down, up := "↓ ", " ↑ "
	if st.ascii {
		down, up = "in ", " out "
	}
	p50, p95 := c.quantiles()
	for _, text := range []string{
		number(c.requests),
		fmt.Sprintf("%d open", b.gauge.Open),
		rateOf(c.rate(b.now)),
		"p50 " + span(p50),
		"p95 " + span(p95),
		down + size(c.in) + up + size(c.out),
	} {
		groups = append(groups, row{{text: text}})
	}
	return groups
}
