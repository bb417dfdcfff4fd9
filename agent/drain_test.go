package agent

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"share/tunnel"
)

// gate is a target's handler that holds requests until it is opened.
type gate struct {
	entered chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate(t *testing.T) *gate {
	g := &gate{entered: make(chan struct{}, 16), open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.entered <- struct{}{}
	select {
	case <-g.open:
		io.WriteString(w, "late")
	case <-r.Context().Done():
	}
}

// inFlight starts an exchange and returns once the target has it.
func inFlight(t *testing.T, s *tunnel.Session, g *gate) <-chan answered {
	t.Helper()
	done := make(chan answered, 1)
	go func() { done <- ask(s, get("/slow")) }()
	await(t, g.entered, "the request")
	return done
}

func TestRunDrains(t *testing.T) {
	relay, g := newFakeRelay(t), newGate(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP)})
	s := relay.waitBound()
	r.event(EventReady)
	slow := inFlight(t, s, g)
	r.cancel()
	if d := await(t, relay.drains, "the drain"); d.Deadline() != 10*time.Second {
		t.Errorf("drain of %v, want the default grace", d.Deadline())
	}
	a := ask(s, get("/new"))
	if f := tunnel.AsFailure(a.err); f == nil || f.Cause != tunnel.Draining || !f.NotProcessed {
		t.Errorf("a new exchange: %+v, want that it is given back", a)
	}
	g.release()
	if a := await(t, slow, "the answer"); a.err != nil || a.body != "late" {
		t.Errorf("exchange in flight: %+v", a)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunCuts(t *testing.T) {
	for name, grace := range map[string]time.Duration{"grace over": 50 * time.Millisecond, "no grace": -1, "cut": time.Hour} {
		t.Run(name, func(t *testing.T) {
			relay, g := newFakeRelay(t), newGate(t)
			r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP), Grace: grace})
			slow := inFlight(t, relay.waitBound(), g)
			r.cancel()
			if name == "cut" {
				r.agent.Cut()
			}
			if err := r.wait(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if a := await(t, slow, "the exchange's end"); a.err == nil {
				t.Errorf("exchange in flight: %+v, want a failure", a)
			}
		})
	}
}

func TestRelayDrains(t *testing.T) {
	relay, g := newFakeRelay(t), newGate(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP)})
	old := relay.waitBound()
	r.event(EventReady)
	slow := inFlight(t, old, g)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		drained <- old.Drain(ctx, tunnel.Drain{DeadlineMS: 10_000})
	}()
	if e := r.event(EventReconnecting); !e.Drained {
		t.Errorf("reconnecting: %+v, want that the relay asked for it", e)
	}
	relay.waitBound() // while the old session still serves
	g.release()
	if a := await(t, slow, "the answer"); a.err != nil || a.body != "late" {
		t.Errorf("exchange in flight: %+v", a)
	}
	if err := await(t, drained, "the drain"); err != nil {
		t.Errorf("drain: %v", err)
	}
	if e := r.event(EventReady); !e.Verified {
		t.Errorf("ready: %+v", e)
	}
}

// An agent that stops while a relay drains one of its sessions serves that one's
// visitors until they are gone: there is no other for them.
func TestStopWhileTheRelayDrains(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	old := relay.waitBound()
	r.event(EventReady)
	if err := old.Send(&tunnel.Drain{DeadlineMS: 10_000}); err != nil {
		t.Fatal(err)
	}
	relay.waitBound()
	r.event(EventReady)
	r.cancel()
	await(t, relay.drains, "the drain of the new session")
	if a := ask(old, get("/x")); a.err != nil || a.body != "hello from /x" {
		t.Errorf("a visitor of the old session: %+v", a)
	}
	select {
	case <-relay.drains:
		t.Error("the old session is drained by the agent")
	case <-r.done:
		t.Error("Run has returned")
	default:
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := old.Finish(ctx); err != nil {
		t.Error(err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
