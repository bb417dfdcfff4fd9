package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"share/tunnel"
)

// An exchange that becomes a connection is told of when it opens, counts while it
// is open, and is a request when it ends.
func TestEventOpen(t *testing.T) {
	relay := newFakeRelay(t)
	target := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(conn, rw)
		conn.(*net.TCPConn).CloseWrite()
	})
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: target})
	s := relay.waitBound()
	r.event(EventReady)

	x, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	req := get("/ws", "Upgrade", "websocket")
	req.Flags = tunnel.RequestUpgrade
	if err := errors.Join(x.SendRequest(req), x.Flush()); err != nil {
		t.Fatal(err)
	}
	if resp, err := x.ReceiveResponse(); err != nil || resp.Status != 101 {
		t.Fatalf("got %+v, %v", resp, err)
	}
	e := r.event(EventOpen)
	if e.ID != "id/ws" || e.Method != "GET" || e.Target != "/ws" || e.Status != 101 || e.Protocol != "websocket" || e.Elapsed <= 0 {
		t.Errorf("open event: %+v", e)
	}
	if g := r.agent.Gauge(); g.Open != 1 {
		t.Errorf("got %d open, want 1", g.Open)
	}
	io.WriteString(x, "hello")
	x.End(nil)
	if b, err := io.ReadAll(x); err != nil || string(b) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
	if e := r.event(EventRequest); e.Status != 101 || e.BytesIn != 5 || e.BytesOut != 5 {
		t.Errorf("request event: %+v; want 5 bytes each way", e)
	}
	until(t, "nothing is open", func() bool { return r.agent.Gauge().Open == 0 })
}

func TestGauge(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	s := relay.waitBound()
	r.event(EventReady)
	ask(s, get("/"))
	until(t, "a round trip is known", func() bool { return r.agent.Gauge().Relays["http://"+relay.addr].RoundTrip > 0 })
	relay.stop()
	until(t, "attempts are counted", func() bool {
		g := r.agent.Gauge().Relays["http://"+relay.addr]
		return g.Attempt > 1 && !g.Next.IsZero()
	})
}

// What an agent has with its relays can be asked at any time.
func TestMeasure(t *testing.T) {
	relay := newFakeRelay(t)
	held := make(chan struct{})
	entered := make(chan struct{})
	target := newTarget(t, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-held
	})
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: target})
	measure := func() RelayGauge {
		g := r.agent.Measure(context.Background())
		at, ok := g.Relays["http://"+relay.addr]
		if !ok || len(g.Relays) != 1 {
			t.Fatalf("got %+v, want one of %s", g, relay.addr)
		}
		return at
	}
	measure() // there may be none yet
	r.event(EventReady)
	done := make(chan answered, 1)
	go func() { done <- ask(relay.latest(), get("/")) }()
	await(t, entered, "the exchange")
	if s := measure(); s.Lanes != 1 || s.Open != 1 || s.RoundTrip <= 0 {
		t.Errorf("got %+v, want a lane with an exchange, and how far the relay is", s)
	}
	close(held)
	await(t, done, "the answer")
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s := measure(); s.Lanes != 0 || s.Open != 0 {
		t.Errorf("after the end: got %+v", s)
	}
}

func TestEventDraining(t *testing.T) {
	relay, g := newFakeRelay(t), newGate(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP)})
	s := relay.waitBound()
	r.event(EventReady)
	slow := inFlight(t, s, g)
	r.cancel()
	if e := r.event(EventDraining); e.Open != 1 {
		t.Errorf("got %d open, want 1", e.Open)
	}
	g.release()
	if a := await(t, slow, "the answer"); a.body != "late" {
		t.Errorf("got %+v", a)
	}
}
