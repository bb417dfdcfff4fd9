package relay

import (
	"context"
	"sync"
	"time"

	"share/tunnel"
)

// drain lets what is open end: visitors first, sessions last. If the relay goes on
// in another process, no connection is closed on a visitor who may be about to
// use it.
func (r *Relay) drain(ctx context.Context, replaced bool) {
	grace := r.cfg.grace()
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	go func() { // ended by cancel
		select {
		case <-r.cut:
			cancel()
		case <-ctx.Done():
		}
	}()
	r.mu.Lock()
	r.draining = true
	sessions := make([]*session, 0, len(r.sessions))
	for _, s := range r.sessions {
		sessions = append(sessions, s)
	}
	r.mu.Unlock()
	if !replaced {
		r.strangers.drain()
	}
	r.log.Info("draining", "grace", grace.String(), "sessions", len(sessions))
	for _, s := range sessions {
		// A session that takes no message has ended.
		_ = s.Send(&tunnel.Drain{DeadlineMS: grace.Milliseconds()})
	}
	drainVisitors := r.edge.Drain
	if replaced {
		drainVisitors = r.settleVisitors
	}
	if err := drainVisitors(ctx); err != nil {
		r.log.Warn("exchanges are cut", "reason", "the grace is over")
	}
	r.strangers.drain() // if replaced, they had as long as visitors
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() {
			// An error says that exchanges were cut, which is known.
			_ = s.Finish(ctx)
		})
	}
	wg.Wait()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer done()
	r.edge.Settle(last)
}

// lastWord bounds how long visitors are told that their exchanges were cut.
const lastWord = time.Second
