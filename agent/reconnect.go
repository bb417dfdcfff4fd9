package agent

import (
	"math/rand/v2"
	"time"
)

const (
	retryNear   = 100 * time.Millisecond // on loopback: a refused connect costs nothing
	retryFirst  = 100 * time.Millisecond // elsewhere: the first window, doubled by each try
	retrySoon   = time.Second            // the widest window of an outage's first minute
	retryLate   = 10 * time.Second       // and afterwards
	outageFresh = time.Minute
	retryAfter  = 5 * time.Minute // the longest a relay can send us away for
	provenAfter = time.Second     // a session that lived so long was worth coming back for at once
)

// backoff spaces the attempts to reach one relay. The first follows at once,
// for ever after it: on loopback every 100 ms; elsewhere with full jitter, so
// that the agents of a relay that restarts do not come back as one wave.
type backoff struct {
	near   bool
	began  time.Time // of the outage
	tries  int
	jitter func(n int64) int64 // in [0, n); rand.Int64N if nil
}

// next returns how long to wait before the next attempt, at least least if the
// relay asked for that.
func (b *backoff) next(now time.Time, least time.Duration) time.Duration {
	if b.tries == 0 {
		b.began = now
	}
	least = min(max(least, 0), retryAfter)
	b.tries++
	if b.tries == 1 && least == 0 {
		return 0
	}
	if b.near && least == 0 {
		return retryNear
	}
	widest := retrySoon
	if now.Sub(b.began) >= outageFresh {
		widest = retryLate
	}
	window := min(retryFirst<<min(b.tries, 10), widest)
	jitter := b.jitter
	if jitter == nil {
		jitter = rand.Int64N
	}
	return least + time.Duration(jitter(int64(window)))
}

// bound tells that a session was bound for d. A short one does not count, or a
// relay that dies on our first exchange would be dialled without a pause.
func (b *backoff) bound(d time.Duration) {
	if d >= provenAfter {
		b.tries = 0
	}
}
