package terminal

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"share/agent"
	"share/tunnel"
)

// of gives events as those of the tunnel with a label.
func of(label string, events ...agent.Event) []agent.Event {
	for i := range events {
		events[i].Tunnel = label
	}
	return events
}

// several is how three tunnels of a file do, and what was heard of them.
func several() frame {
	f := frame{now: noon}
	for label, name := range map[string]string{"web": "online", "api": "down", "docs": "reconnecting"} {
		m := moments()[name]
		f.events = append(f.events, of(label, m.events...)...)
	}
	for i, label := range []string{"web", "api", "docs"} {
		f.tunnels = append(f.tunnels, Tunnel{Label: label, Target: fmt.Sprintf("localhost:808%d", i), Since: noon, Gauge: moments()["down"].gauge})
	}
	return f
}

// newDeskOf is a desk for the tunnels of f.
func newDeskOf(t *testing.T, width, height int, f frame) (d *desk, printed string) {
	d = &desk{t: t}
	d.model = newModel(&Config{Keys: os.Stdin, Tunnels: func() []Tunnel { return f.tunnels },
		Interrupt: func() { d.interrupts++ },
		Browse:    func(url string) error { d.browsed = append(d.browsed, url); return nil },
	})
	d.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return d, d.frame(f)
}

// frame gives what is printed of f.
func (d *desk) frame(f frame) string {
	pages := make(chan []string, 1)
	f.now, f.print = noon, pages
	d.Update(f)
	return strings.Join(<-pages, "\n")
}

func TestTunnelsBox(t *testing.T) {
	for name, change := range map[string]func(*frame){
		"several": func(*frame) {},
		"givenup": func(f *frame) {
			f.tunnels[1].Ended, f.tunnels[1].Reason = true, "the name api is already run by process 7"
			f.events = of("api", agent.Event{Kind: agent.EventWarning, Time: noon, Message: "this tunnel is given up: the name api is already run by process 7"})
		},
		"ended": func(f *frame) {
			for i := range f.tunnels {
				f.tunnels[i].Ended = true
			}
			f.events, f.last = []agent.Event{{Kind: agent.EventStopped, Time: noon, Reason: "interrupt"}}, true
		},
	} {
		for _, width := range []int{100, 40} {
			f := several()
			// They come from a map: one tunnel's events are in order, all are not.
			d, _ := newDeskOf(t, width, 40, frame{tunnels: f.tunnels, events: eventsOf(f, "web", "api", "docs")})
			f.events = nil
			change(&f)
			printed := d.frame(f)
			if printed != "" {
				printed += "\n"
			}
			golden(t, "tunnels."+name+"."+map[int]string{100: "wide", 40: "narrow"}[width]+".txt", bare(printed+d.draw()))
		}
	}
}

// eventsOf are the events of f's tunnels, label by label.
func eventsOf(f frame, labels ...string) (events []agent.Event) {
	for _, label := range labels {
		for _, e := range f.events {
			if e.Tunnel == label {
				events = append(events, e)
			}
		}
	}
	return events
}

// A line says which tunnel it is about, in a column as wide as the labels.
func TestTunnelLines(t *testing.T) {
	f := several()
	f.events = eventsOf(f, "web", "api", "docs")
	for _, width := range []int{100, 40} {
		_, printed := newDeskOf(t, width, 40, f)
		golden(t, fmt.Sprintf("tunnels.lines.%d.txt", width), printed+"\n")
	}
}

// Of more tunnels than the window has lines for, the number is shown, and that of
// those that are not well.
func TestManyTunnels(t *testing.T) {
	var f frame
	for i := range 30 {
		label := fmt.Sprintf("tunnel-%d", i)
		f.tunnels = append(f.tunnels, Tunnel{Label: label, Target: "localhost:1", Since: noon})
		name := "online"
		if i > 25 {
			name = "down"
		}
		f.events = append(f.events, of(label, moments()[name].events...)...)
	}
	for height, want := range map[int]string{
		24:  "and 19 more, 4 of them not online: share ls lists them",
		10:  "and 29 more, 4 of them not online: share ls lists them",
		200: "tunnel-29",
	} {
		d, _ := newDeskOf(t, 120, height, f)
		d.box("26 of 30 online", "tunnel-0 ", want)
		if n := strings.Count(d.draw(), "\n"); n >= height {
			t.Errorf("got %d lines in a window of %d", n, height)
		}
	}
}

// What is released goes, and what is bound anew under its label begins anew: what the
// old one still tells is not about it.
func TestTunnelIsBoundAnew(t *testing.T) {
	f := several()
	d, _ := newDeskOf(t, 100, 40, f)
	d.box("api", "docs")
	later := f.tunnels[0]
	later.Since = noon.Add(time.Second)
	late := of("web", agent.Event{Kind: agent.EventReady, Time: noon, URL: "https://late.example", Verified: true}, request("GET", "/late", 200))
	if got := d.frame(frame{tunnels: []Tunnel{later}, events: late}); !strings.Contains(got, "web GET  200 /late") {
		t.Errorf("got %q, want the request's line", got)
	}
	d.box("0 of 1 online", "starting")
	got := bare(d.View().Content)
	for _, gone := range []string{"api", "docs", "late.example", "calm-otter"} {
		if strings.Contains(got, gone) {
			t.Errorf("got\n%s\nwant no %s in it", got, gone)
		}
	}
}

// Keys about the URL are there while there is one tunnel; the others always.
func TestTunnelKeys(t *testing.T) {
	f := several()
	d, _ := newDeskOf(t, 100, 40, f)
	before := d.draw()
	if cmd := d.press("o", "q", "c"); cmd != nil || len(d.browsed) > 0 || d.draw() != before {
		t.Errorf("got %q opened, and\n%s\nwant nothing done by o, q and c", d.browsed, d.draw())
	}
	if row := bare(d.keyRow()); row != "  / filter · p pause · ? help · ctrl+c stop\n" {
		t.Errorf("got %q", row)
	}
	d.press("?")
	d.box("stop: requests under way may end")
	if got := d.draw(); strings.Contains(got, "QR") {
		t.Errorf("got\n%s", got)
	}
	d.press("?", "p")
	if got := d.frame(frame{tunnels: f.tunnels, events: of("web", request("GET", "/held", 200))}); got != "" {
		t.Errorf("paused: got %q", got)
	}
	d.box("paused, 1 held back")
	d.press("p")
	if got := d.frame(frame{tunnels: f.tunnels}); !strings.Contains(got, "/held") {
		t.Errorf("after the pause: got %q", got)
	}
	d.press("/", "a", "p", "i", "enter")
	if got := d.frame(frame{tunnels: f.tunnels, events: append(of("web", request("GET", "/1", 200)), of("api", request("GET", "/2", 200))...)}); strings.Contains(got, "/1") || !strings.Contains(got, "/2") {
		t.Errorf("filtered: got %q", got)
	}
	d.press("ctrl+c")
	if d.interrupts != 1 {
		t.Errorf("got %d interrupts", d.interrupts)
	}

	d, _ = newDeskOf(t, 100, 40, frame{tunnels: f.tunnels[:1], events: eventsOf(f, "web")})
	d.press("o")
	if len(d.browsed) != 1 || d.browsed[0] != urlA {
		t.Errorf("got %q opened, want %s", d.browsed, urlA)
	}
	d.note = ""
	d.box("o open")
	d.press("q")
	d.box("▀▀▀")
	d.frame(frame{tunnels: f.tunnels})
	if got := d.draw(); strings.Contains(got, "▀▀▀") {
		t.Errorf("got\n%s\nwant no QR code of one of several", got)
	}
}

// Whatever the width, no line is wider than the window.
func TestNoTunnelIsTooWide(t *testing.T) {
	f := several()
	f.tunnels = append(f.tunnels, Tunnel{Label: strings.Repeat("long", 20), Since: noon, Ended: true, Reason: strings.Repeat("why ", 40)})
	f.events = append(f.events, of(strings.Repeat("long", 20), request("GET", "/", 200))...)
	for width := 1; width <= 130; width++ {
		d, printed := newDeskOf(t, width, 30, f)
		for line := range strings.Lines(bare(printed + "\n" + d.draw())) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); width >= roomForFrame && n > width {
				t.Fatalf("width %d: got a line of %d: %q", width, n, line)
			}
		}
	}
}

// Without a box there are blocks, each with its tunnel's label.
func TestTunnelsLive(t *testing.T) {
	down := request("GET", "/x", 502)
	down.Cause = tunnel.TargetRefused
	var events []agent.Event
	for _, label := range []string{"web", "api"} {
		events = append(events, of(label,
			agent.Event{Kind: agent.EventConnecting, Time: noon, Relay: relayA, Target: "localhost:1"},
			agent.Event{Kind: agent.EventReady, Time: noon, URL: "https://" + label + ".example", Verified: true}, down)...)
	}
	_, stderr := run(Config{Mode: Live, ASCII: true}, events...)
	golden(t, "tunnels.blocks.txt", stderr)
}

// What a file, a visitor or a relay says can neither steer the terminal nor make a
// link of its own.
func FuzzTunnels(f *testing.F) {
	f.Add("x\n\x1b]8;;http://evil\x1b\\\r\x1b[2J\u009b31m\u202e\x7f\x00\xff\"\\", uint8(80), uint8(24))
	f.Add("https://a\x1b]52;c;eA==\x07", uint8(40), uint8(3))
	f.Fuzz(func(t *testing.T, evil string, width, height uint8) {
		tunnels := []Tunnel{{Label: evil, Target: evil, Since: noon}, {Label: "other", Target: evil, Since: noon, Ended: true, Reason: evil}}
		var events []agent.Event
		for k := agent.EventConnecting; k <= agent.EventDraining; k++ {
			events = append(events, agent.Event{Kind: k, Time: noon, Tunnel: evil, Relay: evil, URL: evil, Name: evil, Reason: evil, Method: evil, Via: evil,
				Target: evil, Status: 502, Cause: tunnel.TargetBadResponse, Detail: evil, Protocol: evil, Identity: evil})
		}
		events = append(events, of(evil, agent.Event{Kind: agent.EventWarning, Time: noon, Message: evil, Hint: evil})...)
		for n := range events {
			m := newModel(&Config{ASCII: true, Tunnels: func() []Tunnel { return tunnels }})
			m.width, m.height = int(width)+1, int(height)+1
			got := strings.Join(m.take(frame{now: noon, tunnels: tunnels, events: events[:n+1]}), "\n") + m.draw()
			if linkable(evil) {
				got = bare(got)
			}
			if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }); i >= 0 {
				t.Errorf("got %q", got[i:])
			}
		}
	})
}
