package edge

import (
	"context"
	"slices"
	"time"
)

// Yield is for when visitors are served elsewhere from now on: each connection is
// told to come to its end, and no request is turned away. A visitor of HTTP/1.1
// learns of it from the answer to the next request, and may be about to send it:
// if the connection were closed then, nobody could tell whether that was
// processed. So it is not before it was idle for lastRequest. One of HTTP/2 is told
// at once, and what they send meanwhile is served for as long: not all who are told
// that a request was not processed can send it again.
func (e *Edge) Yield() {
	e.draining.Store(true)
	for _, c := range e.all(nil) {
		c.yield()
	}
}

// Drain lets requests whose head was read end, and closes connections as they
// fall idle. It returns when there is none left, or with ctx's error.
func (e *Edge) Drain(ctx context.Context) error {
	e.draining.Store(true)
	e.closing.Store(true)
	for _, c := range e.all(nil) {
		c.drain()
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		e.mu.Lock()
		n := len(e.conns)
		e.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Settle returns when no request is under way any more, or when ctx ends. It
// is for when all have failed: they are then answered, or visibly cut.
func (e *Edge) Settle(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for slices.ContainsFunc(e.all(nil), connection.answering) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// shedAtOnce is how many connections Shed closes.
const shedAtOnce = 64

// Shed closes some of the connections that are between two requests, so that
// there are descriptors for others.
func (e *Edge) Shed() {
	n := 0
	for _, c := range e.all(nil) {
		if !c.closeIdle() {
			continue
		}
		if n++; n == shedAtOnce {
			return
		}
	}
}
