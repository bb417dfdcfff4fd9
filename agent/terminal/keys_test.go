package terminal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"share/agent"
	"share/tunnel"
)

// A desk is a model that a test types at.
type desk struct {
	*model
	t           *testing.T
	interrupts  int
	browsed     []string
	browseFails error
}

func newDesk(t *testing.T, width, height int) *desk {
	d := &desk{t: t}
	cfg := &Config{Target: "localhost:8080", Keys: os.Stdin, // which nothing reads here
		Interrupt: func() { d.interrupts++ },
		Browse:    func(url string) error { d.browsed = append(d.browsed, url); return d.browseFails },
	}
	d.model = newModel(cfg)
	d.Update(tea.WindowSizeMsg{Width: width, Height: height})
	d.feed(moments()["online"].events[:3]...)
	return d
}

// feed gives what is printed of events.
func (d *desk) feed(events ...agent.Event) string {
	pages := make(chan []string, 1)
	d.Update(frame{events: events, now: noon, print: pages})
	return strings.Join(<-pages, "\n")
}

// press types keys, of which names are longer than one character.
func (d *desk) press(keys ...string) (cmd tea.Cmd) {
	for _, k := range keys {
		var key tea.Key
		switch k {
		case "ctrl+c":
			key = tea.Key{Code: 'c', Mod: tea.ModCtrl}
		case "enter":
			key = tea.Key{Code: tea.KeyEnter}
		case "esc":
			key = tea.Key{Code: tea.KeyEscape}
		case "backspace":
			key = tea.Key{Code: tea.KeyBackspace}
		default:
			key = tea.Key{Code: rune(k[0]), Text: k}
		}
		_, cmd = d.Update(tea.KeyPressMsg(key))
	}
	return cmd
}

// box fails the test unless the box, and what is below, holds each text.
func (d *desk) box(texts ...string) {
	d.t.Helper()
	got := bare(d.View().Content)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			d.t.Errorf("got\n%s\nwant %q in it", got, text)
		}
	}
}

func request(method, target string, status int) agent.Event {
	return agent.Event{Kind: agent.EventRequest, Time: noon, Method: method, Target: target, Status: status}
}

func TestKeyInterrupt(t *testing.T) {
	d := newDesk(t, 80, 24)
	d.press("ctrl+c", "/", "ctrl+c")
	if d.interrupts != 2 {
		t.Errorf("got %d interrupts, want 2: a filter that is typed does not keep ctrl+c", d.interrupts)
	}
}

func TestKeyOpen(t *testing.T) {
	d := newDesk(t, 80, 24)
	d.press("o")
	if len(d.browsed) != 1 || d.browsed[0] != urlA {
		t.Errorf("got %q opened, want %s", d.browsed, urlA)
	}
	d.box("opened in the browser")
	d.browseFails = errors.New("xdg-open cannot be run")
	d.press("o")
	d.box("xdg-open cannot be run")
	d.cfg.Browse = nil
	d.note = ""
	d.press("o")
	if got := bare(d.View().Content); len(d.browsed) != 2 || strings.Contains(got, "o open") {
		t.Errorf("without a browser: got %q opened, and\n%s", d.browsed, got)
	}
}

func TestKeyCopy(t *testing.T) {
	d := newDesk(t, 80, 24)
	if got, want := fmt.Sprintf("%v", d.press("c")()), fmt.Sprintf("%v", tea.SetClipboard(urlA)()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d.box("clipboard")
	d.board.state.links[0].url = "https://evil\x1b\\"
	if cmd := d.press("c"); cmd != nil {
		t.Errorf("a URL that may end a sequence is copied: %v", cmd())
	}
	d.box("there is no URL yet")
}

func TestKeyQR(t *testing.T) {
	d := newDesk(t, 80, 40)
	d.press("q")
	d.box("▀▀▀")
	golden(t, "qr.txt", bare(d.View().Content)+"\n")
	d.Update(tea.WindowSizeMsg{Width: 80, Height: 20})
	d.box("the QR code needs a window of 33 columns and")
	d.press("q")
	if got := d.View().Content; strings.Contains(got, "QR") {
		t.Errorf("got %s", got)
	}
}

func TestKeyFilter(t *testing.T) {
	d := newDesk(t, 80, 24)
	d.press("/", "A", "p", "x", "backspace", "i", "\x1b")
	d.box("filter: api_")
	d.press("enter")
	d.box("filter api")
	got := d.feed(request("GET", "/a", 200), request("GET", "/API/b", 200), request("GET", "/c", 404))
	if !strings.Contains(got, "/API/b") || strings.Contains(got, "/a ") || strings.Contains(got, "/c") {
		t.Errorf("got\n%s", got)
	}
	if d.board.counts.requests != 3 {
		t.Errorf("got %d requests, want 3: what is filtered counts", d.board.counts.requests)
	}
	d.press("esc", "/", "4", "0", "4", "enter")
	if got := d.feed(request("GET", "/a", 200), request("GET", "/c", 404)); strings.Contains(got, "/a") || !strings.Contains(got, "/c") {
		t.Errorf("by status: got\n%s", got)
	}
	d.press("/", "esc")
	if got := d.feed(request("GET", "/a", 200)); !strings.Contains(got, "/a") {
		t.Errorf("after esc: got\n%s", got)
	}
	d.press("/", strings.Repeat("x", maxFilter), "y")
	if len(d.filter) > maxFilter {
		t.Errorf("got a filter of %d", len(d.filter))
	}
}

// A hint is for whoever filters or pauses as well.
func TestHintInAnyCase(t *testing.T) {
	down := request("GET", "/a", 502)
	down.Cause = tunnel.TargetRefused
	for name, keys := range map[string][]string{"filter": {"/", "x", "enter"}, "pause": {"p"}, "neither": nil} {
		d := newDesk(t, 80, 24)
		d.press(keys...)
		if got := d.feed(down, down); strings.Count(got, "Start it, or share another port.") != 1 {
			t.Errorf("%s: got\n%s\nwant the hint once", name, got)
		}
	}
}

func TestKeyPause(t *testing.T) {
	d := newDesk(t, 80, 24)
	d.press("p")
	if got := d.feed(request("GET", "/a", 200), agent.Event{Kind: agent.EventWarning, Time: noon, Message: "late"}); strings.Contains(got, "/a") || !strings.Contains(got, "late") {
		t.Errorf("paused: got\n%s\nwant the warning alone", got)
	}
	d.box("paused, 1 held back", "p go on")
	for range mostLines + 9 {
		d.feed(request("GET", "/b", 200))
	}
	d.press("p")
	got := d.feed()
	if n := strings.Count(got, "\n") + 1; n != mostLines+1 || !strings.Contains(got, "/a") || !strings.HasSuffix(got, "  + 10 more") {
		t.Errorf("got %d lines, want %d and how many more there were:\n%s", n, mostLines+1, got)
	}
	d.press("p")
	d.feed(request("GET", "/c", 200))
	pages := make(chan []string, 1)
	d.Update(frame{now: noon, last: true, print: pages})
	if got := strings.Join(<-pages, "\n"); !strings.Contains(got, "/c") {
		t.Errorf("at the end: got %q, want what was held back", got)
	}
}

func TestKeyHelp(t *testing.T) {
	d := newDesk(t, 100, 30)
	d.press("?")
	d.box("show the URL as a QR code", "stop: requests under way may end; again cuts them")
	d.press("?")
	if got := d.View().Content; strings.Contains(got, "QR code") {
		t.Errorf("got %s", got)
	}
}

// What comes at once is printed in pages that leave the box in the window, and
// what nobody could read is a number.
func TestManyRequests(t *testing.T) {
	d := newDesk(t, 80, 24)
	var events []agent.Event
	for i := range 1040 {
		events = append(events, request("GET", fmt.Sprintf("/%d", i), 200))
	}
	missed := missed{}
	for range 1000 {
		missed.add(events[0])
	}
	pages := make(chan []string, 1)
	d.Update(frame{events: events, missed: missed, now: noon, print: pages})
	var lines int
	got := <-pages
	for _, page := range got {
		n := strings.Count(page, "\n") + 1
		if box := strings.Count(d.View().Content, "\n") + 1; n+box >= 24 {
			t.Errorf("got a page of %d lines above a box of %d in a window of 24", n, box)
		}
		lines += n
	}
	if last := got[len(got)-1]; lines != mostLines+1 || !strings.HasSuffix(last, "  + 1,840 more") {
		t.Errorf("got %d lines, the last page\n%s", lines, last)
	}
	d.box("2,040")
}

func TestWithoutKeys(t *testing.T) {
	cfg := &Config{Target: "localhost:8080"}
	m := newModel(cfg)
	m.take(frame{events: moments()["online"].events, now: noon})
	if got := m.draw(); strings.Contains(got, "ctrl+c") || !strings.Contains(got, "online") {
		t.Errorf("got\n%s\nwant no row of keys", got)
	}
}

func TestQRFromTheStart(t *testing.T) {
	for _, from := range []bool{false, true} {
		m := newModel(&Config{Target: "localhost:3000", QR: from})
		m.width, m.height = 80, 40
		m.take(frame{now: noon, events: []agent.Event{{Kind: agent.EventReady, Time: noon, URL: urlA, Verified: true}}})
		if got := strings.Contains(m.draw(), "▀▀▀"); got != from {
			t.Errorf("QR %v: got %v", from, got)
		}
	}
}

// The window that a QR code needs has room for the box as well.
func TestQRNeeds(t *testing.T) {
	d := newDesk(t, 80, 12)
	d.press("q")
	_, said, ok := strings.Cut(d.View().Content, "needs a window of ")
	var columns, lines int
	if n, err := fmt.Sscanf(said, "%d columns and %d lines", &columns, &lines); !ok || n != 2 {
		t.Fatalf("got %q, %v", said, err)
	}
	for less, want := range []bool{true, false} {
		d.Update(tea.WindowSizeMsg{Width: 80, Height: lines - less})
		if got := strings.Contains(d.View().Content, "▀▀▀▀"); got != want {
			t.Errorf("in %d lines: got a code %v, want %v", lines-less, got, want)
		}
	}
}

// That the target is up has a line when it was down: else the box says so.
func TestTargetIsUp(t *testing.T) {
	d := newDesk(t, 80, 24)
	up := moments()["online"].events[1]
	down := agent.Event{Kind: agent.EventTarget, Time: noon, Cause: tunnel.TargetTLS}
	if got := d.feed(up); got != "" {
		t.Errorf("got %q, want nothing of what is as it was", got)
	}
	if d.feed(down); !strings.Contains(d.feed(up), "localhost:8080 is up") {
		t.Error("got no line when the target came back")
	}
	d.model.board.state.known = false
	if got := d.feed(up); got != "" {
		t.Errorf("got %q, want nothing when the target is seen first", got)
	}
}
