package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// both starts an agent of two relays, and returns when it is ready at each.
func both(t *testing.T, change func(*Config)) (r *running, one, two *fakeRelay, first, second *tunnel.Session) {
	t.Helper()
	one, two = newFakeRelay(t), newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+one.addr), Others: []RelayURL{mustRelay(t, "http://"+two.addr)},
		Target: newTarget(t, hello), StateDir: t.TempDir()}
	if change != nil {
		change(&cfg)
	}
	r = start(t, cfg)
	first, second = one.waitBound(), two.waitBound()
	urls := map[string]string{}
	names := map[string]bool{}
	for range 2 {
		e := r.event(EventReady)
		urls[e.Relay] = e.URL
		names[e.Name] = true
	}
	if urls["http://"+one.addr] != one.public.URL || urls["http://"+two.addr] != two.public.URL || len(names) != 1 {
		t.Errorf("ready as %v, named %v", urls, names)
	}
	return r, one, two, first, second
}

// An agent of two relays serves through both; one that is lost takes nothing of
// the other along.
func TestTwoRelays(t *testing.T) {
	r, one, two, first, second := both(t, nil)
	for _, relay := range []*fakeRelay{one, two} {
		if h := await(t, relay.health, "word of the target"); !h.Up {
			t.Errorf("a relay was told %+v", h)
		}
	}
	for _, s := range []*tunnel.Session{first, second} {
		if a := ask(s, get("/x")); a.err != nil || a.body != "hello from /x" {
			t.Errorf("exchange: %+v", a)
		}
	}
	one.stop()
	if e := r.event(EventReconnecting); e.Relay != "http://"+one.addr {
		t.Errorf("reconnecting: %+v", e)
	}
	if a := ask(second, get("/y")); a.err != nil || a.body != "hello from /y" {
		t.Errorf("exchange while the other is lost: %+v", a)
	}
	one.listen(one.addr)
	one.waitBound()
	if e := r.event(EventReady); e.Relay != "http://"+one.addr || !e.Verified {
		t.Errorf("ready again: %+v", e)
	}
	r.cancel()
	for _, relay := range []*fakeRelay{one, two} {
		await(t, relay.drains, "the drain")
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A relay that is not there keeps nobody from the other.
func TestTwoRelaysOneAway(t *testing.T) {
	there := newFakeRelay(t)
	away := closedAddr(t)
	cfg := Config{Relay: mustRelay(t, "http://"+away), Others: []RelayURL{mustRelay(t, "http://"+there.addr)}, Target: newTarget(t, hello)}
	var err error
	for _, cfg.Wait = range waits() {
		if err = outlives(t, cfg); err == nil {
			break
		}
	}
	if err != nil {
		t.Error(err)
	}
	neither := start(t, Config{Relay: mustRelay(t, "http://"+away), Others: []RelayURL{mustRelay(t, "http://"+closedAddr(t))},
		Target: newTarget(t, hello), Wait: 50 * time.Millisecond})
	neither.wantError(cmdline.ExitUnreached, " or http://")
}

// outlives runs an agent whose first relay is away until its Wait is over, and
// says how it ended if it did. On a machine that stalls it may not have reached
// the other.
func outlives(t *testing.T, cfg Config) error {
	t.Helper()
	r := start(t, cfg)
	said := map[EventKind]string{}
	timeout := time.After(patience)
	for said[EventReady] == "" || said[EventReconnecting] == "" {
		select {
		case e := <-r.events:
			said[e.Kind] = e.Relay
		case <-r.done:
			return fmt.Errorf("the agent has ended: %w", r.err)
		case <-timeout:
			t.Fatalf("the events name %v", said)
		}
	}
	if said[EventReady] != cfg.Others[0].String() || said[EventReconnecting] != cfg.Relay.String() {
		t.Errorf("the events name %v", said)
	}
	select {
	case <-r.done:
		return fmt.Errorf("the agent has ended: %w", r.err)
	case <-time.After(cfg.Wait + 100*time.Millisecond):
		return nil
	}
}

// A relay that refuses for good is given up, and the last one ends the agent.
func TestTwoRelaysRefuse(t *testing.T) {
	r, one, two, first, second := both(t, nil)
	evict := &tunnel.Unbind{Tunnel: 7, Code: tunnel.RejectEvicted, Message: "another agent took the name over"}
	first.Send(evict)
	e := r.event(EventWarning)
	if e.Relay != "http://"+one.addr || !strings.Contains(e.Message, "given up") || !strings.Contains(e.Message, "took the name over") {
		t.Errorf("warning: %+v", e)
	}
	await(t, one.drains, "the drain")
	if a := ask(second, get("/x")); a.err != nil || a.body != "hello from /x" {
		t.Errorf("exchange at the other: %+v", a)
	}
	second.Send(evict)
	r.wantError(cmdline.ExitRefused, "took the name over")
	two.mu.Lock()
	defer two.mu.Unlock()
	if len(two.binds) != 1 {
		t.Errorf("%d binds", len(two.binds))
	}
}

func TestBadRelays(t *testing.T) {
	one, two := mustRelay(t, "http://127.0.0.1:1"), mustRelay(t, "relay.example")
	for want, others := range map[string][]RelayURL{
		"named twice":   {one},
		"wants a token": {two},
		"8 at most":     make([]RelayURL, 8),
	} {
		for i := range others {
			if others[i].Host == "" {
				others[i] = RelayURL{Plain: true, Host: "127.0.0.1", Port: strings.Repeat("1", i+2)}
			}
		}
		if _, err := New(Config{Relay: one, Others: others, Target: targetAt(t, "127.0.0.1:80")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
