package terminal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"share/agent"
	"share/tunnel"
)

// captures are the views that README.md shows, each between two comments that
// bear its name.
func captures() map[string]string {
	at := time.Date(2026, 1, 2, 19, 44, 59, 0, time.UTC)
	after := func(seconds int) time.Time { return at.Add(time.Duration(seconds) * time.Second) }
	const relay, url = "in-process", "http://urdph6w5jr.localhost:7070"
	request := func(seconds int, method, target string, status int, took time.Duration, in, out int64) agent.Event {
		return agent.Event{Kind: agent.EventRequest, Time: after(seconds), Method: method, Target: target, Status: status, Elapsed: took, BytesIn: in, BytesOut: out}
	}
	failed := request(19, "GET", "/x", 502, 200*time.Microsecond, 0, 156)
	failed.Cause = tunnel.TargetRefused
	gauge := agent.Gauge{Open: 1, Relays: map[string]agent.RelayGauge{relay: {RoundTrip: 100 * time.Microsecond}}}
	first := frame{now: after(12), gauge: gauge, events: []agent.Event{
		{Kind: agent.EventConnecting, Time: at, Relay: relay},
		{Kind: agent.EventTarget, Time: at, Up: true, Since: at},
		{Kind: agent.EventReady, Time: at, URL: url, Name: "urdph6w5jr", Verified: true},
		request(6, "GET", "/", 200, 12*time.Millisecond, 0, 3412),
		request(6, "GET", "/assets/app.js", 200, 31*time.Millisecond, 0, 184_220),
		request(7, "GET", "/favicon.ico", 404, 3800*time.Microsecond, 0, 9),
		{Kind: agent.EventOpen, Time: after(9), Method: "GET", Target: "/_hmr", Status: 101, Protocol: "websocket"},
	}}
	down := frame{now: after(30), gauge: gauge, events: []agent.Event{
		failed,
		{Kind: agent.EventTarget, Time: after(19), Cause: tunnel.TargetRefused, Since: after(19)},
	}}
	draw := func(width int, frames ...frame) string {
		m := newModel(&Config{Target: "localhost:3000", Keys: os.Stdin, Browse: func(string) error { return nil }})
		m.width, m.height = width, 40
		var lines []string
		for _, f := range frames {
			lines = append(lines, m.take(f)...)
		}
		return ansi.Strip(strings.Join(lines, "\n") + "\n" + m.draw())
	}
	return map[string]string{
		"view":   draw(96, first, down),
		"narrow": draw(40, first),
	}
}

// TestReadme holds README.md to what the view shows; GOLDEN=write writes it there.
func TestReadme(t *testing.T) {
	path := filepath.Join("..", "..", "README.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, want := range captures() {
		before, rest, found := strings.Cut(text, "<!-- "+name+" -->\n")
		got, after, closed := strings.Cut(rest, "<!-- /"+name+" -->\n")
		if !found || !closed {
			t.Errorf("README.md has no place for the capture %q", name)
			continue
		}
		fence, shown, _ := strings.Cut(got, "\n")
		want = "\n" + want + "```\n"
		if typed, _, _ := strings.Cut(shown, "\n"); strings.HasPrefix(typed, "$ ") {
			want = "\n" + typed + want
		}
		want = fence + want
		if os.Getenv("GOLDEN") == "write" {
			text = before + "<!-- " + name + " -->\n" + want + "<!-- /" + name + " -->\n" + after
			continue
		}
		compare(t, name, got, want)
	}
	if os.Getenv("GOLDEN") == "write" && text != string(b) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
