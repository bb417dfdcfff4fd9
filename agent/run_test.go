package agent

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"

	"share/tunnel"
	"share/tunnel/cmdline"
)

func TestRunServes(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{
		Relay: mustRelay(t, "http://"+relay.addr), Token: secret, Name: "web", Version: "1.2.3",
		Target: newTarget(t, hello), StateDir: t.TempDir(),
	})
	if e := r.event(EventConnecting); e.Relay != "http://"+relay.addr {
		t.Errorf("connecting to %q", e.Relay)
	}
	ready := r.event(EventReady)
	if !ready.Verified || ready.Name != "web" || ready.URL != relay.public.URL || ready.Reason != "" {
		t.Errorf("ready: %+v", ready)
	}
	if a := ask(relay.waitBound(), get("/a?b")); a.err != nil || a.status != 200 || a.body != "hello from /a" {
		t.Errorf("exchange: %+v", a)
	}
	e := r.event(EventRequest)
	if e.ID != "id/a?b" || e.Method != "GET" || e.Target != "/a?b" || e.Status != 200 || e.Cause != tunnel.CauseNone || e.Elapsed <= 0 {
		t.Errorf("request event: %+v; want the exchange and nothing of the probe", e)
	}
	if e.BytesIn != 0 || e.BytesOut != int64(len("hello from /a")) {
		t.Errorf("request event: %d bytes in, %d out", e.BytesIn, e.BytesOut)
	}
	if h := await(t, relay.health, "word of the target"); !h.Up || h.Tunnel != 7 {
		t.Errorf("the relay was told %+v, want that tunnel 7 is up", h)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if h := relay.hellos[0]; h.Token != secret || h.Version != "1.2.3" || h.OS != runtime.GOOS || h.Kind != tunnel.KindSession {
		t.Errorf("hello: %+v", h)
	}
	if b := relay.binds[0]; b.Name != "web" || b.Seed != "" || len(b.Holder) != 32 || b.Takeover || b.Kind != "http" {
		t.Errorf("bind: %+v", b)
	}
}

// Who asks for a domain asks for no name beside it, and shows what URL the relay
// says.
func TestRunDomain(t *testing.T) {
	relay := newFakeRelay(t)
	relay.answer = func(b *tunnel.Bind) tunnel.Message {
		return &tunnel.Bound{ID: b.ID, Tunnel: 7, Name: "web", URL: relay.public.URL}
	}
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Domain: "app.acme.test", Folder: "/src", Target: newTarget(t, hello), StateDir: t.TempDir()}
	r := start(t, cfg)
	if e := r.event(EventReady); e.URL != relay.public.URL {
		t.Errorf("ready: %+v", e)
	}
	relay.mu.Lock()
	if b := relay.binds[0]; b.Domain != "app.acme.test" || b.Name != "" || b.Seed != "" {
		t.Errorf("bind: %+v", b)
	}
	relay.mu.Unlock()

	// The domain is this process's.
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the domain app.acme.test is already run by") {
		t.Errorf("a second agent: %v", err)
	}
}

func TestRunInProcess(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{
		Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			relay.wg.Go(func() { relay.serveAgent(theirs) })
			return ours, nil
		},
		Target: newTarget(t, hello),
	})
	if e := r.event(EventReady); !e.Verified || e.Name == "" {
		t.Errorf("ready: %+v", e)
	}
}

func TestRunUnverified(t *testing.T) {
	relay := newFakeRelay(t)
	dead := "http://" + closedAddr(t)
	relay.answer = func(b *tunnel.Bind) tunnel.Message {
		return &tunnel.Bound{ID: b.ID, Tunnel: 7, Name: "x", URL: dead}
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	strict := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), RequireVerified: true})
	if a := ask(relay.waitBound(), get("/")); a.status != 200 {
		t.Errorf("before the probe has ended: %+v", a)
	}
	if e := r.event(EventWarning); !strings.Contains(e.Message, "not verified") {
		t.Errorf("warning: %q", e.Message)
	}
	if e := r.event(EventReady); e.Verified || e.Reason == "" || e.URL != dead {
		t.Errorf("ready: %+v", e)
	}
	strict.wantError(cmdline.ExitUnreached, "does not work")
}
