package agent

import "time"

// A Gauge is how an Agent does at this moment.
type Gauge struct {
	Open   int                   // exchanges that have not ended
	Relays map[string]RelayGauge // by the relay, as EventConnecting names it

	KeepsHost bool // the target sees the Host that visitors send
}

// A RelayGauge is how an Agent does at one relay.
type RelayGauge struct {
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
			r.RoundTrip = b.session.RTT()
		}
		l.mu.Lock()
		r.Attempt, r.Next = l.tries, l.next
		l.mu.Unlock()
		g.Relays[l.cfg.Relay.String()] = r
	}
	return g
}

func (l *loop) setNext(tries int, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries, l.next = tries, at
}
