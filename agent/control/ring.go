package control

import (
	"strings"
	"sync"

	"share/agent"
)

const (
	// kept is how many events a ring has.
	kept = 1000

	// maxText bounds each text of an event in a ring: a visitor chooses some of
	// them.
	maxText = 1 << 10
)

// A ring has the last events. Its methods are safe for concurrent use.
type ring struct {
	mu     sync.Mutex
	events []agent.Event // guarded by mu; the one with number n is at n % kept
	next   uint64        // the number of the event that comes; guarded by mu
	more   chan struct{} // closed when there is another, if somebody waits; guarded by mu
}

// add adds an event, in place of the oldest if there are enough.
func (r *ring) add(e agent.Event) {
	if len(e.Target) > maxText {
		// They may stand in one text with it.
		e.ID, e.Method = strings.Clone(e.ID), strings.Clone(e.Method)
	}
	e.Target, e.Detail, e.Reason, e.Message = short(e.Target), short(e.Detail), short(e.Reason), short(e.Message)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) < kept {
		r.events = append(r.events, e)
	} else {
		r.events[r.next%kept] = e
	}
	r.next++
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// short is s without what goes beyond maxText, and without the memory of that.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.Clone(s[:maxText]) + "..."
}

// since returns the events from a number on, how many of them are there no more,
// the number that comes next, and a channel that is closed when that is there.
func (r *ring) since(from uint64) (events []agent.Event, lost, next uint64, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.next - uint64(len(r.events)); from < first {
		from, lost = first, first-from
	}
	for n := from; n < r.next; n++ {
		events = append(events, r.events[n%kept])
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return events, lost, r.next, r.more
}
