package terminal

import (
	"strings"
	"testing"

	"share/agent"
)

// What lies between agent and relay is shown with the URL, and only then.
func TestVia(t *testing.T) {
	ready := agent.Event{Kind: agent.EventReady, Time: noon, URL: "https://abc.share.example.com", Name: "abc", Verified: true}
	through := ready
	through.Via = "WebSocket\x1b[2J"
	connecting := agent.Event{Kind: agent.EventConnecting, Time: noon, Relay: "https://share.example.com"}
	for mode, want := range map[Mode]string{Plain: `via="WebSocket\x1b[2J"`, JSON: `"via":"WebSocket\u001b[2J"`, Live: `https://share.example.com (WebSocket\x1b[2J)`} {
		stdout, stderr := run(Config{Mode: mode}, connecting, through)
		if got := stdout + stderr; !strings.Contains(got, want) {
			t.Errorf("mode %d: got %q, want %q in it", mode, got, want)
		}
		stdout, stderr = run(Config{Mode: mode}, connecting, ready)
		if got := stdout + stderr; strings.Contains(got, "via") || strings.Contains(got, "(W") {
			t.Errorf("mode %d: got %q", mode, got)
		}
	}
}
