package agent

import (
	"context"
	"net/http"
	"testing"
)

// What an agent has with its relays can be asked at any time.
func TestSessions(t *testing.T) {
	relay := newFakeRelay(t)
	held := make(chan struct{})
	entered := make(chan struct{})
	target := newTarget(t, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-held
	})
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: target})
	sessions := func() SessionStatus {
		all := r.agent.Sessions(context.Background())
		if len(all) != 1 || all[0].Relay != "http://"+relay.addr {
			t.Fatalf("got %+v, want one of %s", all, relay.addr)
		}
		return all[0]
	}
	sessions() // there may be none yet
	r.event(EventReady)
	done := make(chan answered, 1)
	go func() { done <- ask(relay.latest(), get("/")) }()
	await(t, entered, "the exchange")
	if s := sessions(); s.Lanes != 1 || s.Open != 1 || s.RoundTrip <= 0 {
		t.Errorf("got %+v, want a lane with an exchange, and how far the relay is", s)
	}
	close(held)
	await(t, done, "the answer")
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s := sessions(); s.Lanes != 0 || s.Open != 0 {
		t.Errorf("after the end: got %+v", s)
	}
}
