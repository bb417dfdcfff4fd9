package route

import (
	"context"
	"maps"
	"slices"
	"time"
)

// A Held is a name that an agent holds.
type Held struct {
	Name    string `json:"name"`
	Account string `json:"account"`
	Holder  string `json:"holder"`
}

// An absence is that of an agent which is about to come back, as its session was
// with the process that this one has replaced.
type absence struct {
	holder string
	over   chan struct{} // closed when an agent has the name, or is not waited for any more
}

// Freeze returns the names that agents hold, in their order. Nobody gets one from
// then on, until Thaw: agents are sent away with RejectDraining.
func (g *Registry) Freeze() []Held {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen = true
	var held []Held
	for _, name := range slices.Sorted(maps.Keys(g.names)) {
		t := g.names[name]
		if b := t.binding.Load(); b != nil {
			held = append(held, Held{t.Name, t.account, b.holder})
		}
	}
	return held
}

// Thaw lets agents have names again.
func (g *Registry) Thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen = false
}

// Expect announces that the agents which hold names are about to bind them here:
// for so long visitors wait for them, and no other agent gets the names without
// a takeover. A name that is not known, or is another account's by now, is left
// out.
func (g *Registry) Expect(held []Held, patience time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var expected []*Tunnel
	for _, h := range held {
		t := g.names[h.Name]
		if t == nil || t.account != h.Account || t.binding.Load() != nil || t.absence.Load() != nil {
			continue
		}
		t.absence.Store(&absence{h.Holder, make(chan struct{})})
		expected = append(expected, t)
	}
	time.AfterFunc(patience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, t := range expected {
			t.endAbsence()
		}
	})
}

// Expected reports whether the tunnel's agent is about to bind it, as Expect says.
func (t *Tunnel) Expected() bool { return t.absence.Load() != nil }

// Settled returns when no agent is expected any more that Expect has announced, or
// ctx's error.
func (g *Registry) Settled(ctx context.Context) error {
	g.mu.RLock()
	var expected []*absence
	for _, t := range g.names {
		if a := t.absence.Load(); a != nil {
			expected = append(expected, a)
		}
	}
	g.mu.RUnlock()
	for _, a := range expected {
		select {
		case <-a.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// endAbsence lets those go on who wait for the agent; the registry's mu is held.
func (t *Tunnel) endAbsence() {
	if a := t.absence.Swap(nil); a != nil {
		close(a.over)
	}
}

// waited returns when the tunnel's agent is not expected any more, and reports
// whether it was and ctx has not ended.
func (t *Tunnel) waited(ctx context.Context) bool {
	a := t.absence.Load()
	if a == nil {
		return t.binding.Load() != nil // it came in between
	}
	select {
	case <-a.over:
		return true
	case <-ctx.Done():
		return false
	}
}
