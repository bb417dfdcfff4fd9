package tunnel

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits are what a Quota bounds. What is zero is not bounded.
type Limits struct {
	Exchanges int   // open at a time
	Requests  int   // a second
	Bytes     int64 // of bodies and upgraded connections a second, both ways together
}

// A Quota bounds what the exchanges of all sessions that share it do together,
// over whichever lane. Exchanges and requests beyond it are refused. Bytes are
// not: they wait. Each second's worth may come at once. It may be used by many
// goroutines.
type Quota struct {
	limits   Limits
	open     atomic.Int64
	requests *rate.Limiter // nil if they are not bounded
	bytes    *rate.Limiter // likewise
}

// NewQuota returns the quota of limits, nil if they bound nothing.
func NewQuota(limits Limits) *Quota {
	if limits == (Limits{}) {
		return nil
	}
	q := &Quota{limits: limits}
	if n := limits.Requests; n > 0 {
		q.requests = rate.NewLimiter(rate.Limit(n), n)
	}
	if n := limits.Bytes; n > 0 {
		q.bytes = rate.NewLimiter(rate.Limit(n), int(min(n, math.MaxInt32)))
	}
	return q
}

// Used reports whether any of it is in use, or has been a moment ago.
func (q *Quota) Used() bool {
	spent := func(l *rate.Limiter) bool { return l != nil && l.Tokens() < float64(l.Burst()) }
	return q.open.Load() > 0 || spent(q.requests) || spent(q.bytes)
}

// begin counts an exchange that is about to open, or returns why it must not.
func (q *Quota) begin() *Failure {
	if n := q.limits.Exchanges; q.open.Add(1) > int64(n) && n > 0 {
		q.end()
		return &Failure{Cause: QuotaExchanges, NotProcessed: true, Detail: fmt.Sprintf("the token is for %d open exchanges", n)}
	}
	if q.requests != nil && !q.requests.Allow() {
		q.end()
		return &Failure{Cause: QuotaRequests, NotProcessed: true, Detail: fmt.Sprintf("the token is for %d requests a second", q.limits.Requests)}
	}
	return nil
}

// end takes back what begin counted.
func (q *Quota) end() { q.open.Add(-1) }

// paceStep is how soon an exchange that waits finds out that it has failed.
const paceStep = 100 * time.Millisecond

// pace returns when n more bytes of x may pass, or x or its lane has ended,
// which whoever reads or writes next finds.
func (q *Quota) pace(x *Exchange, n int) {
	for n > 0 {
		piece := min(n, q.bytes.Burst())
		n -= piece
		due := q.bytes.ReserveN(time.Now(), piece)
		for wait := due.Delay(); wait > 0; wait = due.Delay() {
			if x.failed() != nil || !x.pause(min(wait, paceStep)) {
				due.Cancel()
				return
			}
		}
	}
}

// paced is the quota that x's bytes are paced by, nil if there is none.
func (x *Exchange) paced() *Quota {
	if q := x.lane.session.Quota; q != nil && q.bytes != nil {
		return q
	}
	return nil
}

// pause waits for d, and reports whether x's lane still lives.
func (x *Exchange) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.lane.mux.CloseChan():
		return false
	}
}
