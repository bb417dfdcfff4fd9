package agent

import (
	"strings"
	"testing"
	"time"
)

func TestBackoffNear(t *testing.T) {
	b := &backoff{near: true}
	now := time.Unix(0, 0)
	for i, want := range []time.Duration{0, retryNear, retryNear, retryNear} {
		if got := b.next(now, 0); got != want {
			t.Errorf("try %d after %v, want %v", i, got, want)
		}
		now = now.Add(time.Hour)
	}
}

func TestBackoffFar(t *testing.T) {
	widest := func(n int64) int64 { return n - 1 }
	b := &backoff{jitter: widest}
	now := time.Unix(0, 0)
	if got := b.next(now, 0); got != 0 {
		t.Errorf("first try after %v, want at once", got)
	}
	for now.Before(time.Unix(0, 0).Add(outageFresh)) {
		got := b.next(now, 0)
		if got <= 0 || got >= retrySoon {
			t.Fatalf("try %d in the first minute after %v, want less than %v", b.tries, got, retrySoon)
		}
		now = now.Add(got)
	}
	if got, want := b.next(now, 0), retryLate/2; got < want || got >= retryLate {
		t.Errorf("try after a minute after %v, want %v to %v", got, want, retryLate)
	}
	b.jitter = func(int64) int64 { return 0 }
	if got := b.next(now, 0); got != 0 {
		t.Errorf("full jitter starts at %v, want 0", got)
	}
}

func TestBackoffAsked(t *testing.T) {
	for _, near := range []bool{true, false} {
		b := &backoff{near: near, jitter: func(int64) int64 { return 0 }}
		if got := b.next(time.Unix(0, 0), 3*time.Second); got != 3*time.Second {
			t.Errorf("near %v: asked to wait 3s, waits %v", near, got)
		}
		if got := b.next(time.Unix(0, 0), time.Hour); got != retryAfter {
			t.Errorf("near %v: asked to wait 1h, waits %v, want %v", near, got, retryAfter)
		}
	}
}

func TestBackoffBound(t *testing.T) {
	b := &backoff{near: true}
	now := time.Unix(0, 0)
	b.next(now, 0)
	b.bound(provenAfter / 2)
	if got := b.next(now, 0); got == 0 {
		t.Error("a short session is followed at once, want a pause")
	}
	b.bound(provenAfter)
	if got := b.next(now, 0); got != 0 {
		t.Errorf("a long session is followed after %v, want at once", got)
	}
}

func TestRunBeforeTheRelay(t *testing.T) {
	relay := newFakeRelay(t)
	var took time.Duration
	for range 3 { // a machine may stall for as long
		relay.stop()
		r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
		if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "nothing listens") || e.Retry > retryNear {
			t.Errorf("reconnecting: %+v", e)
		}
		relay.listen(relay.addr)
		began := time.Now()
		relay.waitBound()
		took = time.Since(began)
		if r.event(EventReady); took <= 200*time.Millisecond {
			return
		}
		r.cancel()
		if err := r.wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Errorf("bound %v after the relay listens, want at most 200ms", took)
}

func TestRunReconnects(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Folder: "/src", Takeover: true}
	r := start(t, cfg)
	first := r.event(EventReady)
	soonest := patience
	for range 3 { // once is enough: a machine may stall
		relay.stop()
		if e := r.event(EventReconnecting); e.Reason == "" || e.Drained {
			t.Errorf("reconnecting: %+v, want a reason, and nothing that the relay asked for", e)
		}
		relay.listen(relay.addr)
		began := time.Now()
		again := r.event(EventReady)
		soonest = min(soonest, time.Since(began))
		if again.URL != first.URL || again.Name != first.Name || !again.Verified {
			t.Errorf("ready again: %+v, want %+v", again, first)
		}
	}
	if soonest > 300*time.Millisecond {
		t.Errorf("ready %v after the relay listens again", soonest)
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if a, b := relay.binds[0], relay.binds[1]; !a.Takeover || b.Takeover || a.Seed != b.Seed || a.Holder != b.Holder || a.Seed == "" {
		t.Errorf("binds %+v and %+v: want the same seed and holder, and takeover once", a, b)
	}
}
