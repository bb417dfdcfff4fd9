package tunnel

import (
	"cmp"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"share/tunnel/nbio"
)

// Each half of an exchange has a window: how many bytes of its body may be under
// way or unread. The multiplexer's own windows have one size for every stream,
// too small for a long way or too large for a slow reader; they are made so
// large that they never close.
const (
	// firstWindow is what a half may send before any CREDIT.
	firstWindow = 256 << 10

	// maxWindow is what a window grows to, for a reader that keeps up.
	maxWindow = 64 << 20

	// muxWindow is the multiplexer's: it opens its own again when half of it
	// was read.
	muxWindow = 4 * maxWindow

	// sessionSpare bounds what the windows of a session have above firstWindow
	// together, and sharedSpare those of all that share a Budget, unless that
	// has another limit.
	sessionSpare = 128 << 20
	sharedSpare  = 512 << 20

	// leastCredit is what a CREDIT adds, at least, to a window that has room
	// for it. An eighth is enough for the peer not to wait for the next.
	leastCredit = 512 << 10

	// leastRoundTrip is taken for shorter ones: whoever reads or writes may
	// have to wait as long for a processor.
	leastRoundTrip = 200 * time.Microsecond

	// firstTrips is how many round trips are measured one after the other when a
	// session begins: one alone may meet a process that starts.
	firstTrips = 8
)

// A window is a reader's: how far its peer may be ahead. It belongs to the
// goroutine that reads.
type window struct {
	x       *Exchange
	size    int64
	granted int64 // bytes of body that may come in all
	due     int64 // when as many were read, CREDIT is

	spent  int64         // when as many were read, half of it was, and it may grow
	since  time.Time     // when that began
	waited time.Duration // for which nothing was there to be read since then
}

// reset makes w ready for a body.
func (w *window) reset() {
	w.close()
	w.granted, w.due = firstWindow, firstWindow/2
	w.spent, w.since, w.waited = firstWindow/2, time.Time{}, 0
}

// close gives back what w has above firstWindow.
func (w *window) close() {
	if w.size > firstWindow {
		w.x.lane.session.giveBack(w.size - firstWindow)
	}
	w.size = firstWindow
}

// credit lets the peer send more, read bytes having been read of a body of
// length, -1 if that is not known.
func (w *window) credit(read, length int64) {
	if length >= 0 && w.granted >= length {
		w.due = math.MaxInt64
		return
	}
	if read >= w.spent {
		now := time.Now()
		w.grow(now)
		w.spent, w.since, w.waited = read+w.size/2, now, 0
	}
	w.granted, w.due = read+w.size, read+min(w.size/2, max(w.size/8, leastCredit))
	w.x.lane.control.credit(credit{w.x.stream.StreamID(), w.x.number(), w.granted})
}

// grow doubles a window that may have held its peer up: half of it was read
// within two round trips, and less than one of them was spent on anything but
// waiting for more. A window that is larger than what its reader takes would only
// hold more in memory, which no cache holds; one larger than what its peer sends
// would be for nothing. The first time there is nothing to go by, and it grows to
// four times its size.
func (w *window) grow(now time.Time) {
	size := 4 * w.size
	if !w.since.IsZero() {
		lasted, trip := now.Sub(w.since), w.x.lane.session.roundTrip()
		if lasted >= 2*trip || lasted-w.waited >= trip {
			return
		}
		size = min(2*w.size, maxWindow)
	}
	if size > w.size && w.x.lane.session.take(size-w.size) {
		w.size = size
	}
}

// A Budget is the memory that windows may take when they grow, those of all
// sessions that share it.
type Budget struct {
	// Limit is in bytes. If zero, 512 MiB. It is set before use.
	Limit int64

	// Unread bounds what waits to be read of one session, with what its
	// exchanges take by themselves and beside what its windows have taken:
	// nothing is opened with one that has more. If zero, it is not bounded. It
	// is set before use.
	Unread int64

	taken atomic.Int64
}

func (b *Budget) limit() int64 { return cmp.Or(b.Limit, sharedSpare) }

// Take takes n bytes, or nothing, and reports whether it has.
func (b *Budget) Take(n int64) bool { return b.take(n, b.limit()) }

// GiveBack gives back what Take took.
func (b *Budget) GiveBack(n int64) { b.taken.Add(-n) }

// take takes n of limit, or nothing.
func (b *Budget) take(n, limit int64) bool {
	if b.taken.Add(n) > limit {
		b.taken.Add(-n)
		return false
	}
	return true
}

func (s *Session) take(n int64) bool {
	if !s.spare.take(n, sessionSpare) {
		return false
	}
	if s.Budget != nil && !s.Budget.Take(n) {
		s.spare.taken.Add(-n)
		return false
	}
	return true
}

func (s *Session) giveBack(n int64) {
	s.spare.taken.Add(-n)
	if s.Budget != nil {
		s.Budget.GiveBack(n)
	}
}

// exchangeCost is about what an open exchange takes of the relay, with its
// visitor, before any of a body has come.
const exchangeCost = 32 << 10

// crammed reports whether more of the session waits to be read than one may
// have: whoever has opened exchanges does not read them.
func (s *Session) crammed() bool {
	if s.Budget == nil || s.Budget.Unread == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	unread := s.live.Load() * exchangeCost
	for _, l := range s.lanes {
		unread += l.arrived.Load() - l.consumed.Load() + int64(l.bulk.Load())*nbio.Huge
	}
	return unread > s.Budget.Unread+s.spare.taken.Load()
}

// roundTrip is the least time that an answer of the peer took, long before the
// first: a window that need not have grown costs less than one that should.
func (s *Session) roundTrip() time.Duration {
	if rtt := time.Duration(s.rtt.Load()); rtt > 0 {
		return max(rtt, leastRoundTrip)
	}
	return deadAfter
}

// RTT is the least time that an answer of the peer took, 0 if none has come yet.
func (s *Session) RTT() time.Duration { return time.Duration(s.rtt.Load()) }

// measured notes that an answer of the peer took so long.
func (s *Session) measured(took time.Duration) {
	s.trips.Add(1)
	n := int64(max(took, 1)) // 0 is for not known, and the clock may be coarse
	for {
		rtt := s.rtt.Load()
		if rtt != 0 && rtt <= n || s.rtt.CompareAndSwap(rtt, n) {
			return
		}
	}
}

// heldSlack is what a lane may hold beside its windows: of bodies that were
// given up, and heads.
const heldSlack = 64 << 20

// errHeld is why a lane ended whose peer sends more than it may.
var errHeld = errors.New("peer sends more than its windows allow")

// held is asked when arrived bytes of streams have come in all. What was not
// read of them is in memory, whatever window the peer believes to have.
func (l *lane) held(arrived int64) error {
	l.arrived.Store(arrived)
	unread := arrived - l.consumed.Load()
	if unread <= heldSlack ||
		unread <= heldSlack+l.session.spare.taken.Load()+int64(l.streams())*(firstWindow+maxHead) {
		return nil
	}
	return errHeld
}

// A credit says how many bytes of body a half may carry in all.
type credit struct {
	stream, seq uint32
	bytes       int64
}

// creditBy is the peer's CREDIT. One that comes late is for what has ended.
func (x *Exchange) creditBy(c credit) {
	x.mu.Lock()
	more := c.seq == x.seq && x.out.grant(c.bytes)
	x.mu.Unlock()
	if more {
		x.out.wake()
	}
}

// number is the exchange's seq.
func (x *Exchange) number() uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seq
}
