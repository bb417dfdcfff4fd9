package agent

import (
	"context"
	"sync"
	"time"
)

// pingTimeout bounds the wait for a relay whose round trip was never measured.
const pingTimeout = 500 * time.Millisecond

// A Gauge is how an Agent does at this moment.
type Gauge struct {
	Open   int                   // exchanges that have not ended
	Relays map[string]RelayGauge // by the relay, as EventConnecting names it

	KeepsHost bool // the target sees the Host that visitors send
}

// A RelayGauge is how an Agent does at one relay.
type RelayGauge struct {
	Lanes     int           // connections; 0 if there is no session
	Open      int           // exchanges under way
	RoundTrip time.Duration // the least that an answer of the relay's took in this session, 0 if there was none
	Attempt   int           // the last one to connect since there was a session
	Next      time.Time     // when that began, or will
}

// Gauge looks at the agent, at any time and from any goroutine.
func (a *Agent) Gauge() Gauge {
	g := Gauge{Open: int(a.open.Load()), Relays: make(map[string]RelayGauge, len(a.loops)), KeepsHost: a.target.KeepsHost()}
	for _, l := range a.loops {
		var r RelayGauge
		if b := l.current.Load(); b != nil {
			r.Lanes, r.Open, r.RoundTrip = b.session.Lanes(), b.session.Live(), b.session.RTT()
		}
		l.mu.Lock()
		r.Attempt, r.Next = l.tries, l.next
		l.mu.Unlock()
		g.Relays[l.cfg.Relay.String()] = r
	}
	return g
}

// Measure is Gauge, but first pings the relays whose round trip is not known, and
// waits for them for half a second at most.
func (a *Agent) Measure(ctx context.Context) Gauge {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range a.loops {
		if b := l.current.Load(); b != nil && b.session.RTT() == 0 {
			wg.Go(func() { _ = b.session.Ping(ctx) }) // an error leaves it unknown
		}
	}
	wg.Wait()
	return a.Gauge()
}

func (l *loop) setNext(tries int, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries, l.next = tries, at
}
