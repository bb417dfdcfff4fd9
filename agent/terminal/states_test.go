package terminal

import (
	"strings"
	"testing"

	"share/agent"
	"share/tunnel"
)

// Several tunnels are told apart, and each has its own hints.
func TestTunnels(t *testing.T) {
	events := []agent.Event{
		{Kind: agent.EventConnecting, Time: noon, Tunnel: "a", Relay: "in-process", Target: "localhost:1"},
		{Kind: agent.EventConnecting, Time: noon, Tunnel: "b", Relay: "in-process", Target: "localhost:2"},
		{Kind: agent.EventReady, Time: noon, Tunnel: "a", URL: "http://a.localhost", Name: "a", Verified: true},
		{Kind: agent.EventReady, Time: noon, Tunnel: "b", URL: "http://b.localhost", Name: "b", Verified: true},
		{Kind: agent.EventTarget, Time: noon, Tunnel: "a", Cause: tunnel.TargetRefused},
		{Kind: agent.EventTarget, Time: noon, Tunnel: "b", Cause: tunnel.TargetRefused},
		{Kind: agent.EventReady, Time: noon, Tunnel: "a", URL: "http://a.localhost", Name: "a", Verified: true},
	}
	stdout, stderr := run(Config{}, events...)
	compare(t, "stdout", stdout, "a http://a.localhost\nb http://b.localhost\n")
	for _, want := range []string{"msg=connecting tunnel=a relay=in-process target=localhost:1", "msg=ready tunnel=b ", "localhost:1", "localhost:2"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
	stdout, _ = run(Config{Mode: JSON}, events...)
	for line := range strings.Lines(stdout) {
		if !strings.Contains(line, `"tunnel":"a"`) && !strings.Contains(line, `"tunnel":"b"`) {
			t.Errorf("no tunnel in %s", line)
		}
	}
}

// What an error is about stands below it, with nothing that steers.
func TestExcerpt(t *testing.T) {
	for _, mode := range []Mode{Plain, Quiet, Live} {
		_, stderr := run(Config{Mode: mode}, agent.Event{Kind: agent.EventError, Time: noon, Code: 3, Message: "x:1:1: no", Hint: "do", Excerpt: []string{"   1 | a\x1b", "     | ^"}})
		compare(t, "stderr", stderr, "share: x:1:1: no: do\n     1 | a\\x1b\n       | ^\n")
	}
}
