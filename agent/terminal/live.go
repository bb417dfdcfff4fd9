package terminal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"share/agent"
	"share/tunnel"
)

// live shows events to a person: a line for each request, which scrolls away
// as a terminal's lines do, and a block when the tunnel's state changes.
type live struct {
	state states
	style style
	width func() int
}

// style is how things look. A renderer without colours leaves the text bare.
type style struct {
	ascii            bool
	good, bad, fair  look
	strong, dim, url look
	border, code     look // of the box, and of a QR code
	frame            lipgloss.Style
}

// A look is what a terminal is sent before and after a text. It is made once:
// lipgloss takes longer for a line than all else does.
type look struct{ before, after string }

func lookOf(s lipgloss.Style) look {
	before, after, _ := strings.Cut(s.Render("x"), "x")
	return look{before, after}
}

func (l look) Render(s string) string { return l.before + s + l.after }

func newLive(cfg Config) *live {
	width := cfg.Width
	if width == nil {
		width = func() int { return 0 }
	}
	return &live{newStates(cfg.Target), newStyle(cfg.Renderer, cfg.ASCII), width}
}

// newStyle uses the terminal's own sixteen colours: they suit its background.
func newStyle(r *lipgloss.Renderer, ascii bool) style {
	if r == nil {
		r = lipgloss.NewRenderer(io.Discard)
	}
	plain := r.NewStyle()
	return style{
		ascii:  ascii,
		good:   lookOf(plain.Foreground(lipgloss.Color("2"))),
		bad:    lookOf(plain.Foreground(lipgloss.Color("1"))),
		fair:   lookOf(plain.Foreground(lipgloss.Color("3"))),
		strong: lookOf(plain.Bold(true)),
		dim:    lookOf(plain.Faint(true)),
		url:    lookOf(plain.Foreground(lipgloss.Color("6")).Bold(true)),
		border: lookOf(plain.Foreground(lipgloss.Color("8"))),
		code:   lookOf(plain.Foreground(lipgloss.Color("15")).Background(lipgloss.Color("0"))),
		frame:  plain.Border(lipgloss.RoundedBorder()).BorderForeground(lipgloss.Color("8")).Padding(0, 1),
	}
}

func (l *live) show(out *output, e agent.Event) {
	var lines string
	switch news := l.state.apply(e); {
	case news.repeated:
	case e.Kind == agent.EventReady && news.changed:
		lines = block(l.state[e.Tunnel], e.Tunnel, &l.style, l.width())
	case e.Kind == agent.EventRequest || e.Kind == agent.EventOpen:
		lines = requestLine(e, &l.style, l.width()) + hintLine("  ", news.hint, e, &l.style)
	default:
		lines = ofTunnel(e, eventLine(e, l.state[e.Tunnel], &l.style, news.hint))
	}
	out.stderr = append(out.stderr, lines...)
}

// block gives the status of the tunnel, which has a label if there are several, in a
// box where there is room.
func block(s *state, label string, st *style, width int) string {
	best := s.best() // for the head
	rows := []string{st.mark(best.verified) + st.strong.Render("Ready")}
	if label != "" {
		rows[0] += " " + escape(label)
	}
	if !best.verified {
		rows[0] += st.fair.Render(", but not verified: " + escape(best.reason))
	}
	health := "not known yet"
	switch {
	case s.known && s.up:
		health = "up"
	case s.known:
		health = "down: " + s.cause.Phrase()
	}
	for _, url := range s.urls() {
		rows = append(rows, st.dim.Render("URL    ")+" "+st.url.Render(escape(url)))
	}
	rows = append(rows, st.dim.Render("Target ")+" "+escape(s.target)+st.dim.Render(" ("+health+")"))
	for _, l := range s.links {
		if l.relay != "" {
			rows = append(rows, st.dim.Render("Relay  ")+" "+escape(l.relay)+st.dim.Render(l.notes(len(s.links) > 1, l == best)))
		}
	}
	text := strings.Join(rows, "\n")
	const sides = 4 // border and padding
	if st.ascii || width > 0 && lipgloss.Width(text)+sides > width {
		return text + "\n"
	}
	return st.frame.Render(text) + "\n"
}

// notes gives what there is to say of a relay behind its name. What the head of
// the block says is not said again.
func (l *link) notes(several, best bool) string {
	var notes []string
	if l.via != "" {
		notes = append(notes, escape(l.via))
	}
	switch {
	case !several:
	case !l.linked && l.reason != "":
		notes = append(notes, "not connected: "+escape(l.reason))
	case !l.linked:
		notes = append(notes, "not connected yet")
	case !l.verified && !best:
		notes = append(notes, "not verified: "+escape(l.reason))
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}

// ofTunnel gives line with the label of e's tunnel before it, if it has one.
func ofTunnel(e agent.Event, line string) string {
	if e.Tunnel == "" || line == "" {
		return line
	}
	return escape(e.Tunnel) + ": " + line
}

// eventLine gives the line for an event that is no request, or nothing for one
// that the next block shows.
func eventLine(e agent.Event, s *state, st *style, hint string) string {
	switch e.Kind {
	case agent.EventConnecting:
		as := ""
		if e.Identity != "" {
			as = " with the identity of " + escape(e.Identity)
		}
		return st.dim.Render("Connecting to relay "+escape(e.Relay)+as) + "\n"
	case agent.EventReady:
		return st.mark(e.Verified) + "Ready again at " + st.url.Render(escape(e.URL)) + "\n"
	case agent.EventReconnecting:
		to := ""
		if e.Relay != "" {
			to = " to " + escape(e.Relay)
		}
		return st.mark(false) + "Reconnecting" + to + ": " + escape(e.Reason) + "\n"
	case agent.EventDraining:
		return st.mark(false) + fmt.Sprintf("Stopping: %d requests may still end\n", e.Open)
	case agent.EventTarget:
		if e.Up && !s.linked() {
			return ""
		}
		if e.Up {
			return st.mark(true) + escape(s.target) + " is up\n"
		}
		if hint != "" {
			return hintLine(st.mark(false), hint, e, st)
		}
		return st.mark(false) + escape(s.target) + " is down: " + e.Cause.Phrase() + "\n"
	case agent.EventWarning:
		about := ""
		if e.Relay != "" {
			about = escape(e.Relay) + ": "
		}
		cure := ""
		if e.Hint != "" {
			cure = ": " + escape(e.Hint)
		}
		return st.fair.Render("Warning: ") + about + escape(e.Message) + cure + "\n"
	case agent.EventError:
		return st.bad.Render("share: ") + strings.TrimPrefix(errorLine(e.Message, e.Hint), "share: ") + excerpt(e.Excerpt)
	case agent.EventOutput:
		return outputLine(e, st.dim)
	case agent.EventStopped:
		return st.dim.Render("Stopped: "+escape(e.Reason)) + "\n"
	}
	return ""
}

// mark gives the sign that begins a line about a state.
func (st *style) mark(good bool) string {
	switch {
	case st.ascii && good:
		return "* "
	case st.ascii:
		return "! "
	case good:
		return st.good.Render("●") + " "
	}
	return st.bad.Render("○") + " "
}

// hintLine gives a hint on e, if there is one, and the detail that it does not
// say itself.
func hintLine(lead, hint string, e agent.Event, st *style) string {
	if hint == "" {
		return ""
	}
	if e.Detail != "" && e.Cause != tunnel.TargetRefused {
		hint += " (" + e.Detail + ")"
	}
	return lead + st.fair.Render(escape(hint)) + "\n"
}

// The widths of a request line's columns, and from which width on it has the
// time of day and the time taken.
const (
	methodWidth = 7
	tookWidth   = 6
	roomForDay  = 72
	roomForTook = 48
	leastTarget = 8
)

// requestLine gives the line for a request, cut to width if that is known. The
// request's target is what is cut: status and cause are what is looked for.
func requestLine(e agent.Event, st *style, width int) string {
	var b strings.Builder
	free := width
	column := func(s string, look look) {
		b.WriteString(look.Render(s) + " ")
		free -= len(s) + 1
	}
	if width == 0 || width >= roomForDay {
		column(e.Time.Format(time.TimeOnly), st.dim)
	}
	if e.Tunnel != "" {
		column(st.cut(escape(e.Tunnel), widestLabel), look{})
	}
	status := "---"
	if e.Status > 0 {
		status = strconv.Itoa(e.Status)
	}
	column(status, st.status(e))
	column(fmt.Sprintf("%-*s", methodWidth, st.cut(escape(e.Method), methodWidth)), st.strong)
	if width == 0 || width >= roomForTook {
		column(fmt.Sprintf("%*s", tookWidth, took(e.Elapsed)), st.dim)
	}
	note, look := "", st.bad
	switch {
	case e.Kind == agent.EventOpen:
		note, look = " open", st.dim
	case e.Cause != tunnel.CauseNone:
		note = " " + e.Cause.String()
	}
	target := escape(e.Target)
	if width > 0 {
		target = st.cut(target, max(free-len(note), leastTarget))
	}
	b.WriteString(target)
	if note != "" {
		b.WriteString(look.Render(note))
	}
	return b.String() + "\n"
}

// status gives the look of a request's status.
func (st *style) status(e agent.Event) look {
	switch {
	case e.Cause != tunnel.CauseNone || e.Status >= 500:
		return st.bad
	case e.Status >= 400:
		return st.fair
	}
	return st.good
}

// cut shortens s, which is ASCII, to width columns.
func (st *style) cut(s string, width int) string {
	switch {
	case len(s) <= width:
		return s
	case st.ascii:
		return s[:width-1] + ">"
	}
	return s[:width-1] + "…"
}

// took gives d as span does, in at most tookWidth columns for anything under a week.
func took(d time.Duration) string { return strings.ReplaceAll(span(d), " ", "") }
