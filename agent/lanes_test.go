package agent

import (
	"net"
	"net/http"
	"slices"
	"testing"
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
	await(t, relay.lanes, "a lane")
	until(t, "the lane joins", func() bool { return relay.latest().Lanes() == 2 })
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
	await(t, relay.lanes, "a lane")
	await(t, relay.lanes, "another lane").Close()
	await(t, relay.lanes, "a lane in its place")
	if a := ask(relay.latest(), get("/")); a.status != 200 {
		t.Errorf("exchange: %+v", a)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
