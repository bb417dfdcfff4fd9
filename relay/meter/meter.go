// Package meter counts what a relay does. Whoever counts adds to an atomic
// number in a fixed place: there is nothing to look up, to lock or to allocate.
// No number is kept for each tunnel, visitor or agent: their names are not the
// relay's to choose, nor how many there are.
package meter

import (
	"sync/atomic"
	"time"

	"share/tunnel"
)

// A Meter counts from its start on. Its methods may be called from any
// goroutine, and those that count on a nil Meter, which counts nothing.
type Meter struct {
	exchanges [maxCause][classes]atomic.Uint64
	cut       [maxCause]atomic.Uint64
	received  atomic.Uint64
	sent      atomic.Uint64
	retries   atomic.Uint64
	refused   [refusals]atomic.Uint64
	head      Histogram
	whole     Histogram
}

const (
	// maxCause is above every tunnel.Cause.
	maxCause = 64

	// Other is a cause that this relay does not know, of a newer agent's.
	Other tunnel.Cause = maxCause - 1

	// classes are those of status: 0 where there was none, 1 for 1xx.
	classes = 6
)

// An Exchange says how an exchange has ended.
type Exchange struct {
	Status   int           // that the visitor was sent, 0 if none was
	Cause    tunnel.Cause  // of its failure; CauseNone if there was none
	Cut      bool          // it failed behind its head
	Received int64         // bytes of the request's body
	Sent     int64         // bytes of the answer's body
	Head     time.Duration // from the request's head to that of the answer
	Whole    time.Duration // from the request's head to the answer's end
}

// Settle counts an exchange. The time that one takes which has switched
// protocols is how long it was used, and says nothing.
func (m *Meter) Settle(x *Exchange) {
	if m == nil {
		return
	}
	cause := min(x.Cause, Other)
	class := x.Status / 100
	if class < 0 || class >= classes {
		class = 0
	}
	m.exchanges[cause][class].Add(1)
	if x.Cut {
		m.cut[cause].Add(1)
	}
	if x.Received > 0 {
		m.received.Add(uint64(x.Received))
	}
	if x.Sent > 0 {
		m.sent.Add(uint64(x.Sent))
	}
	m.head.observe(x.Head)
	if class != 1 {
		m.whole.observe(x.Whole)
	}
}

// Retry counts a request that is sent once more, as no agent has processed it.
func (m *Meter) Retry() {
	if m != nil {
		m.retries.Add(1)
	}
}

// Refuse counts a connection that came to be nobody's.
func (m *Meter) Refuse(r Refusal) {
	if m != nil {
		m.refused[min(r, RefusedOther)].Add(1)
	}
}

// Retries is how often Retry was called.
func (m *Meter) Retries() uint64 { return m.retries.Load() }

// Bytes is how many bytes of bodies came from visitors and went to them.
func (m *Meter) Bytes() (received, sent uint64) { return m.received.Load(), m.sent.Load() }

// Head is how long visitors waited for the head of an answer, Whole for its
// end.
func (m *Meter) Head() *Histogram  { return &m.head }
func (m *Meter) Whole() *Histogram { return &m.whole }

// Exchanges calls fn with the number of exchanges of each cause and class: all
// those that have been, and those of 0 that may be expected, so that the first
// of a kind is seen as a rise.
func (m *Meter) Exchanges(fn func(cause, class string, n uint64)) {
	m.each(func(name string, same []tunnel.Cause) {
		for class := range classes {
			n, expected := uint64(0), false
			for _, c := range same {
				n += m.exchanges[c][class].Load()
				expected = expected || c == tunnel.CauseNone && class > 0 || c != tunnel.CauseNone && c.Status()/100 == class
			}
			if n > 0 || expected {
				fn(name, classNames[class], n)
			}
		}
	})
}

// Cut calls fn with the number of exchanges that each cause has cut behind
// their head.
func (m *Meter) Cut(fn func(cause string, n uint64)) {
	m.each(func(name string, same []tunnel.Cause) {
		n := uint64(0)
		for _, c := range same {
			n += m.cut[c].Load()
		}
		if same[0] != tunnel.CauseNone {
			fn(name, n)
		}
	})
}

var classNames = [classes]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// each calls fn with each name of a cause, and the causes that share it.
func (m *Meter) each(fn func(name string, same []tunnel.Cause)) {
	byName := make(map[string][]tunnel.Cause)
	var names []string
	for c := range tunnel.Cause(maxCause) {
		name := c.String()
		switch {
		case c == Other:
			name = "other"
		case c != tunnel.Internal && name == tunnel.Internal.String():
			continue // there is no such cause
		}
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], c)
	}
	for _, name := range names {
		fn(name, byName[name])
	}
}

// Refused calls fn with the number of connections that were refused for each
// reason.
func (m *Meter) Refused(fn func(reason string, n uint64)) {
	for r, name := range refusalNames {
		fn(name, m.refused[r].Load())
	}
}
