package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/yamux"

	"share/tunnel/nbio"
)

const (
	// maxLive bounds the exchanges of one lane, and those that wait for a
	// stream.
	maxLive = 4096

	// maxStreams bounds the streams of a lane, those that are given up and
	// not yet closed included.
	maxStreams = 2 * maxLive

	// reuseLimit is how many bytes an exchange may carry and still leave its
	// stream to another: the receive buffer never shrinks.
	reuseLimit = 256 << 10

	// finishTimeout and finishBytes bound how long a stream that the relay
	// gave up is read empty until the agent ends it: a window may have been
	// full, of frames with little in them.
	finishTimeout = 30 * time.Second
	finishBytes   = 2 * maxWindow

	// idleStream is how long an unused stream is kept.
	idleStream = 30 * time.Second
)

// Why a lane ended whose peer does not keep to its streams.
var (
	errStreams = errors.New("peer opens too many streams")
	errUnended = errors.New("peer does not end streams that were given up")
)

// accept takes the streams that the relay opens, each served by a goroutine
// that the lane's end stops. It returns why the multiplexer has closed.
func (l *lane) accept() error {
	for {
		stream, err := l.mux.AcceptStream()
		if err != nil {
			return l.linkError(err)
		}
		x := newExchange(l, stream)
		if !l.add(x) {
			return ErrClosed
		}
		if l.streams() > maxStreams {
			l.close(errStreams)
			return errStreams
		}
		l.spawn(func() {
			x.serve()
			x.in.release()
			x.out.release()
			l.finish(x)
		})
	}
}

// open returns an idle exchange, or one on a new stream. It ends with ctx.
func (l *lane) open(ctx context.Context) (*Exchange, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		x := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		x.begin()
		return x, nil
	}
	ended := l.ended
	l.mu.Unlock()
	if ended {
		return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: l.cause().Error()}
	}
	// Opening blocks while openBacklog streams are not yet accepted, and
	// then does not end with ctx.
	if l.opening.Add(1) > maxLive {
		l.opening.Add(-1)
		return nil, &Failure{Cause: Overload, NotProcessed: true, Detail: fmt.Sprintf("%d exchanges wait for a stream", maxLive)}
	}
	opened := make(chan *Exchange)
	l.spawn(func() {
		defer l.opening.Add(-1)
		l.unopened.CompareAndSwap(0, stamp(time.Now()))
		stream, err := l.mux.OpenStream()
		l.unopened.Store(0)
		var x *Exchange
		if err == nil {
			x = newExchange(l, stream)
			if !l.add(x) {
				x = nil
			}
		}
		select {
		case opened <- x:
		case <-ctx.Done():
			if x != nil {
				l.park(x)
			}
		case <-l.mux.CloseChan():
		}
	})
	select {
	case <-l.mux.CloseChan():
		return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: l.cause().Error()}
	case x := <-opened:
		if x == nil {
			return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: "the link closed"}
		}
		x.begin()
		return x, nil
	case <-ctx.Done():
		f := Fail(VisitorGone, context.Cause(ctx))
		f.NotProcessed = true
		return nil, f
	}
}

// park puts a clean exchange back for reuse.
func (l *lane) park(x *Exchange) {
	x.parked = l.link.heard.Load() // its END has just come
	l.mu.Lock()
	if !l.ended {
		l.idle = append(l.idle, x)
	}
	l.mu.Unlock()
}

// add registers x for RESET and for the lane's end; false if that has come.
func (l *lane) add(x *Exchange) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	id := x.stream.StreamID()
	l.exchanges[id] = x
	l.newest = max(l.newest, id)
	if r, ok := l.early[id]; ok {
		x.early = r
		delete(l.early, id)
	}
	return true
}

// streams is how many streams carry exchanges, wait to, or are being closed.
func (l *lane) streams() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.exchanges)
}

func (l *lane) remove(x *Exchange) {
	l.mu.Lock()
	delete(l.exchanges, x.stream.StreamID())
	l.mu.Unlock()
}

// discard closes x's stream for good. Closing may wait for the link, which no
// visitor shall.
func (l *lane) discard(x *Exchange) {
	if !l.spawn(func() { l.finish(x) }) {
		x.in.window.close() // all else has ended with the lane
	}
}

// finish closes the stream of an exchange that serves no more, and reads it
// empty until the peer has closed it too. An agent that does not in time loses
// the lane; a relay may take as long as its visitor reads.
//
// The FIN must not overtake why the exchange failed. The relay's waits until
// RESET is on its way; the agent's, until the relay has seen the failure.
func (l *lane) finish(x *Exchange) {
	defer func() {
		x.in.window.close()
		l.remove(x)
	}()
	if a := x.in.ahead; a != nil {
		l.consumed.Add(int64(a.stop()))
	}
	if l.streams() > maxStreams {
		l.close(errUnended)
		return
	}
	var deadline time.Time
	if !l.session.agent {
		l.control.idle(flushTimeout)
		deadline = time.Now().Add(finishTimeout)
	} else if x.tells() {
		l.readOut(x.stream, deadline)
	}
	// An error is the lane's end.
	_ = x.stream.Close()
	if !l.readOut(x.stream, deadline) {
		l.close(errUnended)
	}
}

// readOut reads a stream empty until it or the lane ends: what came meanwhile
// would stay in memory. It returns false if that has not happened at the
// deadline, if there is one, or after finishBytes.
func (l *lane) readOut(stream *yamux.Stream, deadline time.Time) bool {
	buf := nbio.Buffer(nbio.Small)
	defer nbio.Free(buf)
	for left := finishBytes; deadline.IsZero() || left > 0 && time.Now().Before(deadline); {
		// Every time: who aborts the exchange just now sets another, as
		// wake does once the multiplexer is closing.
		_ = stream.SetReadDeadline(deadline)
		if l.closing() {
			return true
		}
		n, err := stream.Read(*buf)
		l.consumed.Add(int64(n))
		left -= n
		if err != nil && !errors.Is(err, yamux.ErrTimeout) {
			return true
		}
	}
	return false
}

// reset ends the exchange that the peer gave up. It may overtake the stream,
// which waits to be accepted.
func (l *lane) reset(r reset) {
	l.mu.Lock()
	x := l.exchanges[r.stream]
	if x == nil && r.stream > l.newest && len(l.early) < acceptBacklog {
		if l.early == nil {
			l.early = make(map[uint32]reset)
		}
		l.early[r.stream] = r
	}
	l.mu.Unlock()
	if x != nil {
		x.resetBy(r)
	}
}

// credit lets an exchange send more; one that has ended needs none.
func (l *lane) credit(c credit) {
	l.mu.Lock()
	x := l.exchanges[c.stream]
	l.mu.Unlock()
	if x != nil {
		x.creditBy(c)
	}
}

// prune closes the streams that have been idle for long.
func (l *lane) prune(now time.Time) {
	l.mu.Lock()
	n := 0
	for n < len(l.idle) && time.Duration(stamp(now)-l.idle[n].parked) > idleStream {
		n++
	}
	old := append([]*Exchange(nil), l.idle[:n]...)
	l.idle = append(l.idle[:0], l.idle[n:]...)
	l.mu.Unlock()
	for _, x := range old {
		l.discard(x)
	}
}
