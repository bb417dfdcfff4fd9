package terminal

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// A piece is a text of one look. Its text is one column for each character.
type piece struct {
	text string
	look look
	link string // a URL that the terminal may open, empty for none
}

func (p piece) width() int { return utf8.RuneCountInString(p.text) }

// render appends what the terminal is sent.
func (p piece) render(b *strings.Builder) {
	if p.link != "" {
		b.WriteString("\x1b]8;;" + p.link + "\x1b\\")
	}
	b.WriteString(p.look.Render(p.text))
	if p.link != "" {
		b.WriteString("\x1b]8;;\x1b\\")
	}
}

// A row is pieces beside each other.
type row []piece

func (r row) width() (n int) {
	for _, p := range r {
		n += p.width()
	}
	return n
}

func (r row) String() string {
	var b strings.Builder
	for _, p := range r {
		p.render(&b)
	}
	return b.String()
}

// clip gives as much of r as width columns hold.
func (r row) clip(width int) row {
	for i, p := range r {
		n := p.width()
		if n > width {
			p.text = string([]rune(p.text)[:width])
			return append(r[:i:i], p)
		}
		width -= n
	}
	return r
}

// flow lays groups of pieces in rows of at most width columns, with between
// between two groups in a row. A group that is wider than a row is broken, at a space
// if there is one.
func flow(groups []row, between piece, width int) (rows []row) {
	var now row
	for _, g := range groups {
		switch {
		case len(now) > 0 && now.width()+between.width()+g.width() <= width:
			now = append(append(now, between), g...)
			continue
		case len(now) > 0:
			rows = append(rows, now)
		}
		now = nil
		for _, p := range g {
			for now.width()+p.width() > width {
				head := p
				head.text, p.text = split(p.text, width-now.width())
				rows, now = append(rows, append(now, head)), nil
			}
			now = append(now, p)
		}
	}
	if len(now) > 0 {
		rows = append(rows, now)
	}
	return rows
}

// hang lays groups out beside head, and below them from a column on that is no
// wider.
func hang(head row, column int, groups []row, between piece, width int) (rows []row) {
	for _, r := range flow(groups, between, width-head.width()) {
		rows = append(rows, slices.Concat(head, r))
		head = row{{text: strings.Repeat(" ", column)}}
	}
	if len(rows) == 0 {
		rows = []row{head}
	}
	return rows
}

// split parts text so that the first part has at most width columns, at a space if
// that leaves it more than half full.
func split(text string, width int) (head, rest string) {
	runes := []rune(text)
	for i := width; i > width/2; i-- {
		if runes[i] == ' ' {
			return string(runes[:i]), string(runes[i+1:])
		}
	}
	return string(runes[:width]), string(runes[width:])
}

// The least width of a terminal that has room for a frame, and what the frame
// takes of it.
const (
	roomForFrame = 24
	frameSides   = 4
)

// inner is how wide a row in a frame may be.
func inner(width int) int {
	if width < roomForFrame {
		return max(width, 1)
	}
	return width - frameSides
}

// frameAround draws a frame of width columns around rows, if there is room.
func (st *style) frameAround(rows []row, width int) string {
	var b strings.Builder
	if width < roomForFrame {
		for _, r := range rows {
			b.WriteString(r.String() + "\n")
		}
		return b.String()
	}
	lines := [...]string{"╭", "─", "╮", "│", "╰", "╯"}
	if st.ascii {
		lines = [...]string{"+", "-", "+", "|", "+", "+"}
	}
	edge := strings.Repeat(lines[1], width-2)
	side := st.border.Render(lines[3])
	b.WriteString(st.border.Render(lines[0]+edge+lines[2]) + "\n")
	for _, r := range rows {
		b.WriteString(side + " " + r.String() + strings.Repeat(" ", width-frameSides-r.width()) + " " + side + "\n")
	}
	b.WriteString(st.border.Render(lines[4]+edge+lines[5]) + "\n")
	return b.String()
}

// maxLink bounds a URL that becomes a link, and a QR code.
const maxLink = 2083

// linkable reports whether s is a URL that a terminal and a browser can be
// handed: of HTTP, with a host, and of bytes that end no escape sequence.
func linkable(s string) bool {
	if len(s) > maxLink || escape(s) != s || strings.ContainsAny(s, " \"'`<>\\^{|}") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// urlPiece shows a URL, as a link if it can be one.
func (st *style) urlPiece(s string) piece {
	p := piece{text: escape(s), look: st.url}
	if linkable(s) {
		p.link = s
	}
	return p
}
