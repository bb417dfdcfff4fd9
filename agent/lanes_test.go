package agent

import (
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A lane more joins when a large body fills the only one.
func TestRunLaneOnDemand(t *testing.T) {
	relay := newFakeRelay(t)
	relay.lanes = make(chan net.Conn) // a lane joins when it is taken
	large := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) })
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: large})
	r.event(EventReady)
	select {
	case <-relay.lanes:
		t.Fatal("a lane joined without need")
	default:
	}
	if a := ask(relay.latest(), get("/")); a.status != 200 || len(a.body) != 1<<20 {
		t.Fatalf("status %d, %d bytes", a.status, len(a.body))
	}
	// Another does not make one more while the first has not joined: the relay
	// accepts it when it is taken here.
	if a := ask(relay.latest(), get("/")); a.status != 200 {
		t.Fatalf("status %d", a.status)
	}
	select {
	case <-relay.lanes:
	case <-time.After(10 * time.Second):
		t.Fatal("no lane joined")
	}
	for end := time.Now().Add(10 * time.Second); relay.latest().Lanes() < 2; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the lane did not join")
		}
	}
	relay.mu.Lock()
	hellos := slices.Clone(relay.hellos)
	relay.mu.Unlock()
	if len(hellos) != 2 || hellos[0].OnDemand || !hellos[1].OnDemand {
		t.Errorf("connections %+v, want the session's and a lane on demand", hellos)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunLanes(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), Lanes: 3})
	r.event(EventReady)
	nextLane := func() net.Conn {
		select {
		case conn := <-relay.lanes:
			return conn
		case <-time.After(10 * time.Second):
			t.Fatal("no lane joined")
			return nil
		}
	}
	nextLane()
	nextLane().Close()
	nextLane() // in its place
	if a := ask(relay.latest(), get("/")); a.status != 200 {
		t.Errorf("exchange: %+v", a)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
