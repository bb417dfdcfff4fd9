package tunnel

import (
	"fmt"
	"sync/atomic"
	"time"
)

// The heartbeat: a silent peer is asked after pingAfter and given up after
// deadAfter. Any byte received is life.
const (
	pingAfter = 10 * time.Second
	deadAfter = 25 * time.Second
)

// relayPingAfter is the relay's pingAfter: as its agents have asked by then, it
// need not.
const relayPingAfter = pingAfter + 2*time.Second

// lateBeat is how much later than it is due a beat comes only in a process that was
// stopped: whatever the peer did meanwhile, this end has not seen it.
const lateBeat = 5 * time.Second

// Why a lane ended whose peer has stopped to do its part for deadAfter.
var (
	errSilent   = fmt.Errorf("nothing heard for %v", deadAfter)
	errHalf     = fmt.Errorf("peer left a frame half sent for %v", deadAfter)
	errUnread   = fmt.Errorf("peer read nothing for %v", deadAfter)
	errUnopened = fmt.Errorf("peer accepted no stream for %v", deadAfter)
)

// epoch is what a stamp counts from.
var epoch = time.Now()

// stamp is t in nanoseconds, for atomics. It is of the clock that never jumps:
// lanes outlive a time of day that is set anew.
func stamp(t time.Time) int64 { return int64(t.Sub(epoch)) }

// beat is the heartbeat's timer.
func (l *lane) beat() {
	now := time.Now()
	if late := age(&l.due, now); late >= lateBeat {
		for _, since := range [...]*atomic.Int64{&l.link.heard, &l.link.partial, &l.link.sending, &l.unopened} {
			if then := since.Load(); then != 0 {
				since.CompareAndSwap(then, min(then+int64(late), stamp(now))) // or it is of this moment
			}
		}
	}
	l.beatAt(now)
}

func (l *lane) beatAt(now time.Time) {
	silence := age(&l.link.heard, now)
	stalls := [...]struct {
		age   time.Duration
		cause error
	}{
		{silence, errSilent},
		{age(&l.link.partial, now), errHalf},
		{age(&l.link.sending, now), errUnread},
		{age(&l.unopened, now), errUnopened},
	}
	next := deadAfter
	for _, s := range stalls {
		if s.age >= deadAfter {
			l.close(s.cause)
			return
		}
		next = min(next, deadAfter-s.age)
	}
	after := pingAfter
	if !l.session.agent {
		after = relayPingAfter
	}
	if silence < after {
		next = min(next, after-silence)
	}
	l.mu.Lock()
	if !l.ended {
		l.due.Store(stamp(now.Add(next)))
		l.heart.Reset(next)
	}
	l.mu.Unlock()
	l.prune(now)
	if silence >= after {
		l.control.ping(nil)
	}
}

// age is how long before now since was, which is a stamp; 0 if it is not set.
func age(since *atomic.Int64, now time.Time) time.Duration {
	then := since.Load()
	if then == 0 {
		return 0
	}
	return max(time.Duration(stamp(now)-then), 0)
}
