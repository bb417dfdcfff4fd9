package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"share/agent"
	"share/tunnel"
)

// golden compares got with a file in testdata, which GOLDEN=write makes anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, name, got, string(want))
}

const (
	relayA = "https://relay.example.com"
	urlA   = "https://calm-otter.share.example.com"
)

// moments are agents in each of their states.
func moments() map[string]frame {
	connecting := agent.Event{Kind: agent.EventConnecting, Time: noon, Relay: relayA}
	up := agent.Event{Kind: agent.EventTarget, Time: noon, Up: true, Since: noon}
	ready := agent.Event{Kind: agent.EventReady, Time: noon, URL: urlA, Name: "calm-otter", Verified: true}
	unverified := ready
	unverified.Verified, unverified.Reason = false, "no answer within 3s"
	lost := agent.Event{Kind: agent.EventReconnecting, Time: noon, Reason: "the link was cut", Retry: 4 * time.Second, Attempt: 3}
	near := func(attempt int, next time.Duration) agent.Gauge {
		return agent.Gauge{Open: 3, Relays: map[string]agent.RelayGauge{relayA: {RoundTrip: 23 * time.Millisecond, Attempt: attempt, Next: noon.Add(next)}}}
	}
	get := agent.Event{Kind: agent.EventRequest, Time: noon, Method: "GET", Target: "/", Status: 200, Elapsed: 12 * time.Millisecond, BytesOut: 3400}
	hook := agent.Event{Kind: agent.EventRequest, Time: noon, Method: "POST", Target: "/api/webhook/stripe", Status: 502, Cause: tunnel.TargetRefused,
		Elapsed: time.Millisecond, BytesIn: 1_200_000, BytesOut: 160}
	hmr := agent.Event{Kind: agent.EventOpen, Time: noon, Method: "GET", Target: "/_hmr", Status: 101, Protocol: "websocket", Elapsed: time.Millisecond}
	down := agent.Event{Kind: agent.EventTarget, Time: noon, Cause: tunnel.TargetRefused, Since: noon}
	return map[string]frame{
		"connecting":   {events: []agent.Event{connecting}},
		"unreachable":  {events: []agent.Event{connecting, {Kind: agent.EventReconnecting, Time: noon, Reason: "nothing listens at the relay's address"}}, gauge: near(7, 9*time.Second)},
		"online":       {events: []agent.Event{connecting, up, ready, get, hmr}, gauge: near(1, 0)},
		"unverified":   {events: []agent.Event{connecting, up, unverified}, gauge: near(1, 0)},
		"down":         {events: []agent.Event{connecting, up, ready, get, hook, down}, gauge: near(1, 0)},
		"reconnecting": {events: []agent.Event{connecting, up, ready, get, lost}, gauge: near(3, 4*time.Second)},
		"draining":     {events: []agent.Event{connecting, up, ready, get, {Kind: agent.EventDraining, Time: noon, Open: 3}}, gauge: near(1, 0)},
		"taken": {events: []agent.Event{connecting, up, ready, {Kind: agent.EventError, Time: noon, Code: 5, Message: "the name calm-otter was taken over by another agent", Hint: "x"},
			{Kind: agent.EventStopped, Time: noon, Code: 5, Reason: "x"}}, last: true},
		"stopped":   {events: []agent.Event{connecting, up, ready, get, {Kind: agent.EventStopped, Time: noon, Reason: "interrupt"}}, last: true},
		"tworelays": {events: twoRelays()[:7]},
	}
}

// shown gives what is printed of a frame, and the box.
func shown(cfg Config, f frame, width, height int) string {
	cfg.Target = "localhost:8080"
	cfg.Keys = os.Stdin // which nothing reads here
	m := newModel(&cfg)
	m.width, m.height = width, height
	f.now = noon
	text := strings.Join(m.take(f), "\n")
	if text != "" {
		text += "\n"
	}
	return text + m.draw()
}

func TestMoments(t *testing.T) {
	for name, f := range moments() {
		for _, width := range []int{100, 40} {
			var b strings.Builder
			b.WriteString(shown(Config{}, f, width, 30))
			if width == 100 {
				b.WriteString(shown(Config{ASCII: true}, f, 72, 30))
			}
			golden(t, name+"."+map[int]string{100: "wide", 40: "narrow"}[width]+".txt", b.String())
		}
	}
}

// colours renders as for a terminal of sixteen colours.
func colours() *lipgloss.Renderer {
	r := lipgloss.NewRenderer(&bytes.Buffer{})
	r.SetColorProfile(termenv.ANSI)
	return r
}

func TestColours(t *testing.T) {
	got := shown(Config{Renderer: colours()}, moments()["down"], 100, 30)
	golden(t, "colours.txt", strings.ReplaceAll(got, "\x1b", "ESC"))
}

// bare is text without the escape sequences that share sends: looks and links.
func bare(text string) string {
	for _, end := range []struct{ from, to string }{{"\x1b]8;;", "\x1b\\"}, {"\x1b[", "m"}} {
		for {
			before, rest, found := strings.Cut(text, end.from)
			if !found {
				break
			}
			_, after, _ := strings.Cut(rest, end.to)
			text = before + after
		}
	}
	return text
}

// Whatever the width and the state, no line is wider than the window.
func TestNothingIsTooWide(t *testing.T) {
	for name, f := range moments() {
		for width := 1; width <= 130; width++ {
			for _, ascii := range []bool{false, true} {
				for line := range strings.Lines(shown(Config{ASCII: ascii, Renderer: colours()}, f, width, 30)) {
					line = bare(strings.TrimSuffix(line, "\n"))
					if n := utf8.RuneCountInString(line); width >= roomForFrame && n > width {
						t.Fatalf("%s: width %d: got a line of %d: %q", name, width, n, line)
					}
				}
			}
		}
	}
}

// A hostile visitor, target or relay can neither steer the terminal nor make a
// link of its own.
func FuzzBoard(f *testing.F) {
	f.Add("x\n\x1b]8;;http://evil\x1b\\\r\x1b[2J\u009b31m\u202e\x7f\x00\xff\"\\", uint8(80))
	f.Add("https://a\x1b]52;c;eA==\x07", uint8(40))
	f.Fuzz(func(t *testing.T, evil string, width uint8) {
		var events []agent.Event
		for k := agent.EventConnecting; k <= agent.EventStopped; k++ {
			events = append(events, agent.Event{Kind: k, Time: noon, Relay: evil, URL: evil, Name: evil, Reason: evil, ID: evil, Method: evil, Via: evil,
				Target: evil, Status: 502, Cause: tunnel.TargetBadResponse, Detail: evil, Message: evil, Hint: evil, Protocol: evil, Identity: evil})
		}
		for n := range events {
			fr := frame{events: events[:n+1], last: n == len(events)-1}
			got := shown(Config{ASCII: true}, fr, int(width)+1, 30)
			if linkable(evil) {
				got = bare(got)
			}
			if i := strings.IndexFunc(got, func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }); i >= 0 {
				t.Errorf("got %q", got[i:])
			}
		}
	})
}

func TestLinkable(t *testing.T) {
	tests := map[string]bool{
		urlA:                           true,
		"http://x.localhost:7070":      true,
		"http://[::1]:7070/":           true,
		"javascript:alert(1)":          false,
		"file:///etc/passwd":           false,
		"https://":                     false,
		"https://user:pass@a.example":  false,
		"https://a.example\x1b\\":      false,
		"https://a.example/\u202e":     false,
		"https://a.example/ b":         false,
		"-https://a.example":           false,
		"https://a.example/'; reboot'": false,
		"https://a.example/" + strings.Repeat("x", maxLink): false,
	}
	for url, want := range tests {
		if got := linkable(url); got != want {
			t.Errorf("%.60q: got %v, want %v", url, got, want)
		}
	}
}
