package agent

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"share/tunnel"
)

func TestHandleOwn(t *testing.T) {
	relay := newFakeRelay(t)
	target := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Share-") {
				t.Errorf("the target saw %s", name)
			}
		}
		io.WriteString(w, "target "+r.Header.Get("X-Other"))
	})
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: target})
	s := relay.waitBound()
	r.event(EventReady)

	nonce := r.agent.prober.nonces.issue()
	post := get("/post", "Share-Health", "1", "X-Other", "kept")
	post.Method, post.Flags = []byte("POST"), 0
	tests := []struct {
		name   string
		req    *tunnel.Request
		status int
		field  string
		want   string
		body   string
	}{
		{"a probe", get("/", "share-probe", nonce), 204, probeField, nonce, ""},
		{"the probe again", get("/", "Share-Probe", nonce, "X-Other", "kept"), 200, probeField, "", "target kept"},
		{"a stranger's probe", get("/", "X-Other", "kept", "Share-Probe", "0123456789abcdef0123456789abcdef"), 200, probeField, "", "target kept"},
		{"a poll", get("/any", "SHARE-HEALTH", ""), 204, healthField, "up", ""},
		{"a poll with a stranger's probe", get("/", "Share-Probe", "x", "Share-Health", "1"), 204, healthField, "up", ""},
		{"a poll by POST", post, 200, healthField, "", "target kept"},
		{"neither", get("/", "X-Other", "kept"), 200, healthField, "", "target kept"},
	}
	for _, tt := range tests {
		a := ask(s, tt.req)
		if a.err != nil || a.status != tt.status || a.body != tt.body || string(a.header.Get(tt.field)) != tt.want {
			t.Errorf("%s: %d %q %s %q, %v; want %d %q %q", tt.name, a.status, a.body, tt.field, a.header.Get(tt.field), a.err, tt.status, tt.body, tt.want)
		}
		if a.status == 204 && string(a.header.Get("Cache-Control")) != "no-store" {
			t.Errorf("%s: may be cached", tt.name)
		}
	}
	stranger := get("/")
	stranger.Tunnel = 8
	if f := tunnel.AsFailure(ask(s, stranger).err); f == nil || f.Cause != tunnel.Protocol || !f.NotProcessed {
		t.Errorf("another tunnel's request: %v, want protocol, not processed", f)
	}
	for range 4 {
		if e := r.event(EventRequest); e.Status != 200 {
			t.Errorf("event for %+v: a question to the agent counts", e)
		}
	}
}

// What is not admitted is given back, and is no event; what is asked of the agent
// itself needs no admission.
func TestHandleAdmits(t *testing.T) {
	relay := newFakeRelay(t)
	var asked atomic.Int32
	r := start(t, Config{
		Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello),
		Admit: func() bool { return asked.Add(1) == 1 },
	})
	s := relay.waitBound()
	r.event(EventReady)
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times by the probe", n)
	}
	if a := ask(s, get("/first")); a.err != nil || a.body != "hello from /first" {
		t.Errorf("admitted: %+v", a)
	}
	for range 3 {
		if f := tunnel.AsFailure(ask(s, get("/more")).err); f == nil || f.Cause != tunnel.Draining || !f.NotProcessed {
			t.Errorf("not admitted: %v, want draining, not processed", f)
		}
	}
	if a := ask(s, get("/", "Share-Health", "1")); a.status != 204 {
		t.Errorf("a poll: %+v", a)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	close(r.events)
	for e := range r.events {
		if e.Kind == EventRequest && e.Target != "/first" {
			t.Errorf("an event for %s", e.Target)
		}
	}
}
