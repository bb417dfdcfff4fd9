package target

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
)

const (
	// probeEvery is how often a target that is down is connected to, and how
	// often one that is up is looked after with Config.Watch.
	probeEvery = time.Second

	// probeSoon is the same while somebody waits for it: exchanges that are held
	// or, in its first startTime, whoever has started it.
	probeSoon = 100 * time.Millisecond
	startTime = time.Minute
)

// Health is what is known of a target. A target is up if it accepts
// connections.
type Health struct {
	Up      bool
	Since   time.Time       // when it was first seen as it is; zero if it was never looked at
	LastUp  time.Time       // when it was last seen up; zero if never
	Failure *tunnel.Failure // why it is down, nil if it is up
}

// Note says for people when a target that is down was last seen up. It is empty
// for one that is up, or was not looked at.
func (h Health) Note() string {
	switch {
	case h.Up || h.Since.IsZero():
		return ""
	case h.LastUp.IsZero():
		return "never seen up"
	}
	return "last seen up " + ago(time.Since(h.LastUp))
}

func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// health is the state behind Health.
type health struct {
	start time.Time
	up    atomic.Bool
	seen  atomic.Int64  // time since start when it was last seen up, 0 if never
	held  atomic.Int32  // exchanges that wait for the target
	wake  chan struct{} // something changed; holds one

	mu      sync.Mutex
	since   time.Time       // guarded by mu
	failure *tunnel.Failure // guarded by mu
	back    chan struct{}   // guarded by mu; closed when the target is up
}

func (h *health) init() {
	h.start = time.Now()
	h.wake = make(chan struct{}, 1)
	h.back = make(chan struct{})
}

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := Health{Up: h.up.Load(), Since: h.since, Failure: h.failure}
	if seen := h.seen.Load(); seen != 0 {
		got.LastUp = h.start.Add(time.Duration(seen))
	}
	return got
}

// alive notes that the target is up: it took a connection, or answered.
func (h *health) alive() {
	h.seen.Store(int64(time.Since(h.start) + 1))
	if h.up.Load() {
		return
	}
	h.mu.Lock()
	if !h.up.Load() {
		h.since, h.failure = time.Now(), nil
		h.up.Store(true)
		close(h.back)
	}
	h.mu.Unlock()
	h.poke()
}

// dead notes that a connect failed.
func (h *health) dead(f *tunnel.Failure) {
	switch f.Cause {
	case tunnel.VisitorGone, tunnel.Overload, tunnel.Internal:
		return // says nothing of the target
	}
	h.mu.Lock()
	if h.up.Load() || h.since.IsZero() {
		h.since = time.Now()
	}
	if h.up.Load() {
		h.up.Store(false)
		h.back = make(chan struct{})
	}
	h.failure = f
	h.mu.Unlock()
	h.poke()
}

// returned gives a channel that is closed when the target is up.
func (h *health) returned() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.back
}

// hold counts an exchange that waits, so that the target is looked for more
// often; it ends with the function returned.
func (h *health) hold() (release func()) {
	h.held.Add(1)
	h.poke()
	return func() { h.held.Add(-1) }
}

func (h *health) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// watch is Run: it probes and reports.
func (t *Target) watch(ctx context.Context) error {
	var told Health
	if t.Health().Since.IsZero() {
		t.probe(ctx)
	}
	probed := time.Now()
	timer := time.NewTimer(probeEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		h := t.Health()
		if t.cfg.OnHealth != nil && !h.Since.IsZero() && !h.same(told) {
			told = h
			t.cfg.OnHealth(h)
		}
		timer.Stop()
		if !h.Up || t.cfg.Watch {
			every := probeEvery
			if t.health.held.Load() > 0 || h.LastUp.IsZero() && time.Since(t.health.start) < startTime {
				every = probeSoon
			}
			timer.Reset(time.Until(probed.Add(every)))
		}
		select {
		case <-ctx.Done():
		case <-t.health.wake:
		case <-timer.C:
			t.look(ctx)
			probed = time.Now()
		}
	}
	return nil
}

// same reports whether h is no news after told.
func (h Health) same(told Health) bool {
	return h.Up == told.Up && !told.Since.IsZero() && (h.Up || h.Failure.Cause == told.Failure.Cause)
}

// look finds out whether the target is up. It is if the connection that Run has
// left is still open; others would pile up at a target that serves one after the
// other. In HTTP/2 the end of one is not seen behind what the target has sent.
func (t *Target) look(ctx context.Context) {
	if t.h2 == nil && t.health.up.Load() {
		if c := t.takeSpare(); c != nil {
			t.health.alive()
			t.keepSpare(ctx, c)
			return
		}
	}
	t.probe(ctx)
}

// probe connects once. The connection is kept for the next exchange, however
// long that takes.
func (t *Target) probe(ctx context.Context) {
	c, f := t.dial(ctx)
	switch {
	case c != nil:
		c.reused, t.seenBeside = true, false
		t.keepSpare(ctx, c)
	case f.Cause == tunnel.TargetRefused:
		t.lookBeside(ctx)
	}
}
