package terminal

import (
	"fmt"
	"strings"
)

// draw gives the box and what stands below it.
func (m *model) draw() string {
	text := m.box()
	if m.last {
		return text
	}
	var below string
	switch {
	case m.qr && m.only() != nil:
		below = m.qrCode(strings.Count(text, "\n"))
	case m.help && m.keys:
		below = m.helpLines()
	}
	return text + below + m.keyRow()
}

// box draws the box alone.
func (m *model) box() string {
	if m.cfg.Tunnels != nil {
		return m.tunnelsBox()
	}
	return m.board.box(&m.style, m.width)
}

// qrCode draws the first URL below a box of some lines.
func (m *model) qrCode(above int) string {
	url := m.url()
	if url == "" {
		return flowText("  "+noURL, m.width)
	}
	const below = 2 // the row of keys, and one of the lines above
	code, err := m.style.qrCode(url, m.width, m.height, above+below)
	if err != nil {
		return flowText("  "+err.Error(), m.width)
	}
	return code
}

// flowText gives text in lines of at most width columns.
func flowText(text string, width int) string {
	var groups []row
	for _, word := range strings.Split(text, " ") {
		groups = append(groups, row{{text: word}})
	}
	var b strings.Builder
	for _, r := range flow(groups, piece{text: " "}, width) {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// A key is one that the view heeds.
type key struct{ name, does, help string }

func keys() [8]key {
	return [...]key{
		{"o", "open", "open the URL in the browser"},
		{"c", "copy", "copy the URL, by the terminal's clipboard (OSC 52)"},
		{"q", "qr", "show the URL as a QR code"},
		{"h", "own host", "have the target see its own Host, as with --host-header target"},
		{"/", "filter", "show only requests whose method, status, path or tunnel has a text"},
		{"p", "pause", "hold the lines of requests back, or let them come"},
		{"?", "help", "show this, or not"},
		{"ctrl+c", "stop", "stop: requests under way may end; again cuts them"},
	}
}

func (m *model) helpLines() string {
	var b strings.Builder
	for _, k := range keys() {
		if m.has(k.name) {
			b.WriteString(m.fit(row{{text: "  "}, {text: fmt.Sprintf("%-7s", k.name), look: m.style.strong}, {text: k.help}}))
		}
	}
	return b.String()
}

// has reports whether a key does something here: some are about the URL, which there
// is to be but one of.
func (m *model) has(name string) bool {
	switch name {
	case "o":
		return m.cfg.Browse != nil && m.only() != nil
	case "c", "q":
		return m.only() != nil
	case "h":
		return m.mayHost()
	}
	return true
}

// keyRow is the last row: what is typed, or what was answered, or the keys.
func (m *model) keyRow() string {
	st := &m.style
	switch {
	case !m.keys:
		return ""
	case m.typing:
		return m.fit(row{{text: "  filter: "}, {text: m.filter, look: st.strong}, {text: "_"}, {text: "  enter keep" + st.dot().text + "esc clear", look: st.dim}})
	case m.note != "" && m.board.now.Before(m.noteEnds):
		return m.fit(row{{text: "  " + escape(m.note), look: st.fair}})
	}
	var groups []row
	if m.paused {
		n := len(m.held) + m.unshown
		groups = append(groups, row{{text: fmt.Sprintf("paused, %s held back", number(int64(n))), look: st.fair}})
	}
	if m.filter != "" {
		groups = append(groups, row{{text: "filter ", look: st.fair}, {text: m.filter, look: st.strong}})
	}
	for _, k := range keys() {
		if m.has(k.name) {
			does := k.does
			if k.name == "p" && m.paused {
				does = "go on"
			}
			groups = append(groups, row{{text: k.name, look: st.strong}, {text: " " + does, look: st.dim}})
		}
	}
	rows := flow(groups, st.dot(), max(m.width-2, 1))
	if len(rows) > 2 { // of a narrow window
		rows = rows[:2]
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(m.fit(append(row{{text: "  "}}, r...)))
	}
	return b.String()
}

// fit gives a row as a line, cut to the window.
func (m *model) fit(r row) string {
	return flow([]row{r}, piece{}, m.width)[0].String() + "\n"
}
