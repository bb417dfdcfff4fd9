package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"share/agent"
	"share/tunnel"
)

// The columns of a line above the box, with the space behind each, and what
// width of the terminal they need.
const (
	dayColumn    = 9
	methodColumn = 5
	statusColumn = 4
	spanColumn   = 8
	sizeColumn   = 9
	pathColumn   = 32
	lineIndent   = 2

	roomForSize = 60
	roomForNote = 68 // all columns but that of the path, and a usual cause
)

// line gives the line for a request or a connection that has opened, cut to
// width columns.
func (b *board) line(e agent.Event, st *style, width int) string {
	var r row
	left := func(columns int, text string, look look) {
		r = append(r, piece{text: fmt.Sprintf("%-*s", columns, text), look: look})
	}
	if width >= roomForDay {
		left(lineIndent, "", look{})
		left(dayColumn, e.Time.Format(time.TimeOnly), st.dim)
	}
	if column := b.labelColumn(width); column > 0 {
		left(column, st.cut(escape(e.Tunnel), column-1), look{})
	}
	left(methodColumn, st.cut(escape(e.Method), methodColumn-1), st.strong)
	status := "---"
	if e.Status > 0 {
		status = strconv.Itoa(e.Status)
	}
	left(statusColumn, status, st.status(e))

	took, bytes, note := span(e.Elapsed), size(e.BytesOut), ""
	switch {
	case e.Kind == agent.EventOpen:
		took, bytes = protocolName(e.Protocol), "open"
	case e.Cause >= tunnel.TargetRefused && e.Cause <= tunnel.UpgradeFailed:
		note = b.why(e.Cause)
	case e.Cause != tunnel.CauseNone:
		note = e.Cause.Phrase()
	}
	columns := spanColumn
	if width >= roomForSize {
		columns += sizeColumn
	}
	free := width - r.width()
	if free < columns+leastTarget {
		columns = 0
	}
	path := free - columns
	if width >= roomForDay {
		path = min(path, max(pathColumn, width-b.column-roomForNote))
	}
	target := escape(e.Target)
	if note == "" {
		path = max(path, min(len(target), free-columns)) // it may use what a note would
	} else {
		if width >= roomForSize {
			columns = spanColumn
		} else {
			columns = 0 // the time that it took matters less
		}
		note = st.cut(note, max(free-columns-leastTarget-1, 1))
		path = min(path, free-columns-utf8.RuneCountInString(note)-1)
	}
	path = max(path, leastTarget)
	left(path, st.cut(target, path), look{})
	if columns > 0 {
		r = append(r, piece{text: fmt.Sprintf("%*s", spanColumn, took), look: st.dim})
	}
	if columns > spanColumn {
		r = append(r, piece{text: fmt.Sprintf("%*s", sizeColumn, bytes), look: st.dim})
	}
	if note != "" {
		r = append(r, piece{text: " " + note, look: st.bad})
	}
	return r.clip(width).String()
}

// labelColumn is how wide the label of a tunnel is on its lines, with a space; 0 if
// they have none.
func (b *board) labelColumn(width int) int {
	switch {
	case width < roomForLabel:
		return 0
	case width < roomForDay:
		return min(b.column, shortLabel+1)
	}
	return b.column
}

// hintLines gives a hint on e, if there is one.
func hintLines(hint string, e agent.Event, st *style, width int) []string {
	if hint == "" {
		return nil
	}
	return strings.Split(fold(hintLine("  ", hint, e, st), width), "\n")
}

// fold breaks a line that is wider than the window.
func fold(line string, width int) string {
	line = strings.TrimSuffix(line, "\n")
	if width <= lineIndent {
		line = strings.TrimLeft(line, " ")
	}
	return ansi.Wrap(line, width, "")
}

// why says in a few words why the target failed.
func (b *board) why(c tunnel.Cause) string {
	headline := c.Headline(b.state.target)
	return escape(strings.ToLower(headline[:1]) + headline[1:])
}

// protocolName is what an upgraded connection speaks, short.
func protocolName(protocol string) string {
	if strings.EqualFold(protocol, "websocket") {
		return "ws"
	}
	name := escape(protocol)
	return name[:min(len(name), spanColumn-1)]
}

// lines gives what is to be read of e above the box, if anything.
func (b *board) lines(e agent.Event, news news, st *style, width int) []string {
	var text string
	switch {
	case news.repeated || e.Kind == agent.EventDraining || e.Kind == agent.EventError || e.Kind == agent.EventStopped:
		return nil // the box shows it, or it stands below
	case e.Kind == agent.EventRequest || e.Kind == agent.EventOpen:
		return append([]string{b.line(e, st, width)}, hintLines(news.hint, e, st, width)...)
	case e.Kind == agent.EventReady && news.changed:
		return nil // the box shows it
	case e.Kind == agent.EventConnecting && e.Identity == "":
		return nil
	case e.Kind == agent.EventTarget && e.Up && !news.back:
		return nil // as it is taken to be, and the box shows it
	case e.Kind == agent.EventTarget && !e.Up && news.hint == "":
		return nil // a request's line has said so
	default:
		text = fold(ofTunnel(e, eventLine(e, &b.state, st, news.hint)), width)
	}
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
