package control

import (
	"math"
	"slices"
	"sync"
	"time"

	"share/agent"
	"share/tunnel"
)

// A record is what a tunnel's events add up to. Its methods are safe for
// concurrent use.
type record struct {
	mu       sync.Mutex
	relays   []*Relay                // in the order in which they were first heard of; guarded by mu
	health   *Health                 // guarded by mu
	requests uint64                  // guarded by mu
	failed   map[tunnel.Cause]uint64 // guarded by mu
	state    string                  // guarded by mu
	since    time.Time               // guarded by mu
	stopping bool                    // guarded by mu
	gone     bool                    // it was given up; guarded by mu
	reason   string                  // why; guarded by mu
}

// note takes an event into the record.
func (r *record) note(e agent.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case agent.EventRequest:
		r.requests++
		if e.Cause != tunnel.CauseNone {
			if r.failed == nil {
				r.failed = map[tunnel.Cause]uint64{}
			}
			r.failed[e.Cause]++
		}
		return
	case agent.EventConnecting:
		r.relay(e)
	case agent.EventReconnecting:
		to := r.relay(e)
		to.become(Reconnecting, e.Time)
		to.Reason = short(e.Reason)
	case agent.EventReady:
		to := r.relay(e)
		to.become(Online, e.Time)
		to.Name, to.URL, to.Via, to.Verified, to.Reason = e.Name, e.URL, e.Via, e.Verified, short(e.Reason)
	case agent.EventTarget:
		r.health = &Health{State: "up", Since: e.Since}
		if !e.Up {
			r.health = &Health{State: "down", Since: e.Since, Cause: e.Cause.String(), Detail: short(e.Detail)}
		}
	default:
		return
	}
	r.settle(e.Time)
}

// stop notes that the agent stops.
func (r *record) stop(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	r.settle(now)
}

// giveUp notes that no retry helps.
func (r *record) giveUp(reason string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone, r.reason = true, short(reason)
	r.settle(now)
}

// relay returns the one that e is about. What names no relay is about the only
// one. mu is held.
func (r *record) relay(e agent.Event) *Relay {
	for _, to := range r.relays {
		if to.Relay == e.Relay || e.Relay == "" {
			return to
		}
	}
	to := &Relay{Relay: e.Relay, State: Connecting, Since: e.Time}
	r.relays = append(r.relays, to)
	return to
}

// become notes a state, which may be the one that was.
func (to *Relay) become(state string, at time.Time) {
	if to.State != state {
		to.State, to.Since = state, at
	}
}

// settle finds the state of all. mu is held.
func (r *record) settle(at time.Time) {
	is := func(state string) bool {
		return slices.ContainsFunc(r.relays, func(to *Relay) bool { return to.State == state })
	}
	state := Connecting
	switch {
	case r.stopping:
		state = Stopping
	case r.gone:
		state = GivenUp
	case is(Online) && r.health != nil && r.health.State == "down":
		state = TargetDown
	case is(Online):
		state = Online
	case is(Reconnecting):
		state = Reconnecting
	}
	if r.state != state {
		r.state, r.since = state, at
	}
}

// tell puts the record into s, with how the agent does at its relays.
func (r *record) tell(s *Tunnel, g agent.Gauge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.State, s.Since, s.Reason, s.Requests = r.state, r.since, r.reason, r.requests
	if r.health != nil {
		health := *r.health
		s.Health = &health
	}
	if len(r.failed) > 0 {
		s.Failed = map[string]uint64{}
		for cause, n := range r.failed {
			s.Failed[cause.String()] = n
		}
	}
	s.Relays = []Relay{}
	for _, to := range r.relays {
		to := *to
		at := g.Relays[to.Relay]
		to.Lanes, to.Open = at.Lanes, at.Open
		to.RoundTripMS = math.Round(float64(at.RoundTrip)/1e3) / 1e3
		s.Open += to.Open
		// The first that serves has the URL, else one that has.
		if to.URL != "" && (s.URL == "" || to.State == Online && !slices.ContainsFunc(s.Relays, func(r Relay) bool { return r.State == Online })) {
			s.Name, s.URL = to.Name, to.URL
		}
		s.Relays = append(s.Relays, to)
	}
}
