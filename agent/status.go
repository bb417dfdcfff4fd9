package agent

import (
	"context"
	"sync"
	"time"
)

// pingTimeout bounds the wait for a relay whose round trip was never measured.
const pingTimeout = 500 * time.Millisecond

// A SessionStatus is what an agent has with one of its relays at a moment.
type SessionStatus struct {
	Relay     string        // as the user named it
	Lanes     int           // connections; 0 if there is no session
	Open      int           // exchanges under way
	RoundTrip time.Duration // the least that was measured; 0 if the relay does not answer
}

// Sessions returns what there is with each relay. It pings those whose round trip
// is not known, and waits for them for half a second at most. It may be called at
// any time, by any goroutine.
func (a *Agent) Sessions(ctx context.Context) []SessionStatus {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	all := make([]SessionStatus, len(a.loops))
	var wg sync.WaitGroup
	for i, l := range a.loops {
		wg.Go(func() { all[i] = l.status(ctx) })
	}
	wg.Wait()
	return all
}

func (l *loop) status(ctx context.Context) SessionStatus {
	status := SessionStatus{Relay: l.cfg.Relay.String()}
	b := l.current.Load()
	if b == nil {
		return status
	}
	if b.session.RTT() == 0 {
		_ = b.session.Ping(ctx) // an error leaves it unknown
	}
	status.Lanes, status.Open, status.RoundTrip = b.session.Lanes(), b.session.Live(), b.session.RTT()
	return status
}
