package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"share/agent"
)

// A Bound is one of several tunnels of an agent, as a Server is told of it.
type Bound struct {
	Label  string // what its events have as Tunnel
	Target string // as the user named it
	Name   string // that was asked for, empty if none was
	Grace  time.Duration

	// Measure says how the tunnel does at its relays. If nil, that is not known.
	Measure func(context.Context) agent.Gauge
}

// A held is a Bound, and what has happened to it.
type held struct {
	Bound
	record record
}

// Bind takes one more tunnel, in place of that with the same label if there is one.
// An agent of one tunnel does not need it.
func (s *Server) Bind(b Bound) {
	h := &held{Bound: b}
	h.record.settle(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(b.Label); i >= 0 {
		s.held[i] = h
	} else {
		s.held = append(s.held, h)
	}
}

// Release takes a tunnel away that has ended.
func (s *Server) Release(label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(label); i >= 0 {
		s.held = slices.Delete(s.held, i, i+1)
	}
}

// GiveUp notes that a tunnel has ended by itself, and why.
func (s *Server) GiveUp(label, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(label); i >= 0 {
		s.held[i].record.giveUp(reason, time.Now())
	}
}

// find returns where a tunnel is, -1 if nowhere. mu is held.
func (s *Server) find(label string) int {
	return slices.IndexFunc(s.held, func(h *held) bool { return h.Label == label })
}

// recordOf is the record of the tunnel that has the label, the agent's own if it is
// empty, nil if there is none.
func (s *Server) recordOf(label string) *record {
	if label == "" {
		return &s.record
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(label); i >= 0 {
		return &s.held[i].record
	}
	return nil
}

// all are the tunnels that were bound.
func (s *Server) all() []*held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.held)
}

// several puts into status what its tunnels do, if any were bound.
func (s *Server) several(ctx context.Context, status *Status) {
	all := s.all()
	if len(all) == 0 {
		return
	}
	status.Tunnels = make([]Tunnel, len(all))
	var wg sync.WaitGroup
	for i, h := range all {
		wg.Go(func() {
			var g agent.Gauge
			if h.Measure != nil {
				g = h.Measure(ctx)
			}
			t := &status.Tunnels[i]
			t.Label, t.Name, t.Target = h.Label, h.Name, h.Target
			h.record.tell(t, g)
		})
		status.GraceMS = max(status.GraceMS, h.Grace.Milliseconds())
	}
	wg.Wait()
	status.Tunnel = sum(status.Tunnels)
}

// sum is what tunnels are together: of one, that; of several, the state of the first
// that is not online.
func sum(tunnels []Tunnel) Tunnel {
	if len(tunnels) == 1 {
		return tunnels[0]
	}
	all := Tunnel{State: tunnels[0].State, Since: tunnels[0].Since, Relays: []Relay{}}
	for _, t := range tunnels {
		if all.State == Online && t.State != Online {
			all.State, all.Since = t.State, t.Since
		}
		all.Requests += t.Requests
		all.Open += t.Open
		for cause, n := range t.Failed {
			if all.Failed == nil {
				all.Failed = map[string]uint64{}
			}
			all.Failed[cause] += n
		}
	}
	return all
}
