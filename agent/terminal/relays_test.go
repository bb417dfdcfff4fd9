package terminal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"share/agent"
)

// twoRelays is what an agent of two relays tells.
func twoRelays() []agent.Event {
	const a, b = "https://a.example", "https://b.example"
	return []agent.Event{
		{Kind: agent.EventConnecting, Time: noon, Relay: a},
		{Kind: agent.EventConnecting, Time: noon, Relay: b},
		{Kind: agent.EventTarget, Time: noon, Up: true, Since: noon},
		{Kind: agent.EventReconnecting, Time: noon, Relay: a, Reason: "nothing listens at the relay's address"},
		{Kind: agent.EventReady, Time: noon, Relay: b, URL: "https://x.b.example", Name: "x", Verified: true},
		{Kind: agent.EventReady, Time: noon, Relay: a, URL: "https://x.a.example", Name: "x", Reason: "no answer"},
		{Kind: agent.EventReconnecting, Time: noon, Relay: b, Reason: "the link was cut"},
		{Kind: agent.EventReconnecting, Time: noon, Relay: b, Reason: "the link was cut"},
		{Kind: agent.EventReady, Time: noon, Relay: b, URL: "https://x.b.example", Name: "x", Verified: true},
		{Kind: agent.EventWarning, Time: noon, Relay: b, Message: "this relay is given up"},
	}
}

func TestTwoRelays(t *testing.T) {
	stdout, stderr := run(Config{Mode: Plain}, twoRelays()...)
	compare(t, "stdout", stdout, "https://x.b.example\nhttps://x.a.example\n")
	const at = "time=2026-01-02T12:00:00.000Z "
	compare(t, "stderr", stderr, strings.Join([]string{
		at + `level=INFO msg=connecting relay=https://a.example`,
		at + `level=INFO msg=connecting relay=https://b.example`,
		at + `level=INFO msg=target state=up`,
		at + `level=WARN msg=reconnecting reason="nothing listens at the relay's address" retry_ms=0 attempt=0 relay=https://a.example`,
		at + `level=INFO msg=ready url=https://x.b.example name=x verified=true relay=https://b.example`,
		at + `level=WARN msg=ready url=https://x.a.example name=x verified=false reason="no answer" relay=https://a.example`,
		at + `level=WARN msg=reconnecting reason="the link was cut" retry_ms=0 attempt=0 relay=https://b.example`,
		at + `level=INFO msg=ready url=https://x.b.example name=x verified=true relay=https://b.example`,
		at + `level=WARN msg="this relay is given up" relay=https://b.example`,
		"",
	}, "\n"))
	stdout, _ = run(Config{Mode: JSON}, twoRelays()...)
	for _, want := range []string{
		`"event":"ready","time":"2026-01-02T12:00:00.000Z","url":"https://x.b.example","name":"x","verified":true,"relay":"https://b.example"}`,
		`"reason":"the link was cut","retry_ms":0,"attempt":0,"relay":"https://b.example"}`,
		`"message":"this relay is given up","relay":"https://b.example"}`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the events do not hold %s:\n%s", want, stdout)
		}
	}
}

func TestTwoRelaysLive(t *testing.T) {
	_, stderr := run(Config{Mode: Live, ASCII: true}, twoRelays()...)
	compare(t, "stderr", stderr, `Connecting to relay https://a.example
Connecting to relay https://b.example
! Reconnecting to https://a.example: nothing listens at the relay's address
* Ready
URL     https://x.b.example
Target  localhost:8080 (up)
Relay   https://a.example (not connected: nothing listens at the relay's address)
Relay   https://b.example
* Ready
URL     https://x.a.example
URL     https://x.b.example
Target  localhost:8080 (up)
Relay   https://a.example (not verified: no answer)
Relay   https://b.example
! Reconnecting to https://b.example: the link was cut
* Ready again at https://x.b.example
Warning: https://b.example: this relay is given up
`)
}

// The file has a line for each URL.
func TestTwoRelaysURLFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	var seen []string
	look := writer(func([]byte) { b, _ := os.ReadFile(path); seen = append(seen, string(b)) })
	v := newView(Config{Stdout: look, Stderr: writer(func([]byte) {}), URLFile: path})
	for _, e := range twoRelays() {
		v.Show(e)
	}
	v.finish()
	v.run()
	if want := "https://x.b.example\nhttps://x.a.example\n"; len(seen) != 1 || seen[0] != want {
		t.Errorf("the file held %q, want %q", seen, want)
	}
}
