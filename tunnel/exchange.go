package tunnel

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// minChunk to maxChunk, as the link's speed allows, is what is written
	// to a stream at once: the multiplexer makes one frame of it, and a
	// frame cannot be overtaken. It keeps a buffer of the largest for each
	// lane.
	minChunk = 16 << 10
	maxChunk = 256 << 10

	// bulkAfter is how many bytes make an exchange bulk.
	bulkAfter = 256 << 10
)

// ErrStopped is in the chain of Write's error after the agent asked for no
// more request body.
var ErrStopped = errors.New("the target wants no more of the body")

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// An Exchange is one request and its answer. The opener sends a request and
// receives the response, the other end the reverse; both halves carry a body
// and end with END, each by itself.
//
// One goroutine may read (ReceiveResponse, Data, Read) while another writes
// (SendRequest, SendResponse, Write, Flush, End, Stop); Abort may be called by
// any. Every error is a *Failure, but for the io.EOF of a half that ended.
type Exchange struct {
	lane   *lane
	stream *yamux.Stream
	in     reader
	out    writer
	opened func() // called when a head that upgrades was sent
	parked int64  // when the lane had last heard of its peer as it was put back, a stamp

	mu      sync.Mutex
	seq     uint32         // guarded by mu
	early   reset          // guarded by mu; a RESET that came before its REQ
	failure *Failure       // guarded by mu; why the exchange failed
	closed  bool           // guarded by mu; the opener is done, and may open it again
	over    bool           // guarded by mu; the agent's END is under way
	aborted bool           // guarded by mu; the failure is of this end's making
	onAbort func(*Failure) // guarded by mu

	stopped  atomic.Bool // the agent sent STOP, or received our own
	isBulk   atomic.Bool
	upgraded atomic.Bool
	carried  atomic.Int64 // bytes over the stream
}

func newExchange(l *lane, stream *yamux.Stream) *Exchange {
	x := &Exchange{lane: l, stream: stream}
	x.in.x, x.out.x = x, x
	x.in.window.x = x
	x.out.room = make(chan struct{}, 1)
	return x
}

// begin makes a parked or new exchange ready at the opener.
func (x *Exchange) begin() {
	x.mu.Lock()
	x.renumber(x.seq + 1)
	x.closed = false
	x.mu.Unlock()
	x.restart()
}

// renumber begins the exchange seq, which no CREDIT was for yet; mu is held.
func (x *Exchange) renumber(seq uint32) {
	x.seq = seq
	x.out.granted.Store(firstWindow)
}

func (x *Exchange) restart() {
	x.mu.Lock()
	x.over = false
	x.mu.Unlock()
	x.in.reset()
	x.out.reset()
	x.carried.Store(0)
	x.stopped.Store(false)
	x.isBulk.Store(false)
	x.upgraded.Store(false)
	x.opened = nil
}

// Close ends the opener's use of the exchange, and is called once. A stream
// whose halves both ended without an error is kept for the next; any other is
// given up, and the other end told.
func (x *Exchange) Close() {
	ended := x.in.ended.Load()
	clean := ended && x.out.done() && !x.stopped.Load() && !x.upgraded.Load() && x.in.empty() &&
		x.carried.Load() < reuseLimit && x.shut()
	if !ended && x.failed() == nil {
		x.Abort(Fail(VisitorGone, nil))
	}
	x.unbulk()
	x.lane.live.Add(-1)
	if q := x.lane.session.Quota; q != nil {
		q.end()
	}
	x.lane.session.leave()
	x.in.release()
	x.in.trim()
	x.out.release()
	if clean {
		x.lane.park(x)
	} else {
		x.lane.discard(x)
	}
}

// shut lets no failure reach the exchange until it is opened again: a RESET
// that comes late means what has ended. It reports whether none came before.
func (x *Exchange) shut() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = x.failure == nil
	return x.closed
}

// count notes bytes that went over the stream for the exchange.
func (x *Exchange) count(n int) {
	x.carried.Add(int64(n))
}

// bulkNow marks a lane that carries a large body; small exchanges avoid it.
func (x *Exchange) bulkNow() {
	if x.isBulk.CompareAndSwap(false, true) {
		x.lane.bulk.Add(1)
		x.lane.session.crowd()
	}
}

func (x *Exchange) unbulk() {
	if x.isBulk.CompareAndSwap(true, false) {
		x.lane.bulk.Add(-1)
	}
}

// Request is the head that the agent received. It stays valid until the
// handler returns.
func (x *Exchange) Request() *Request { return &x.in.request }

// SendRequest begins the opener's half. It is sent with the next Flush, End or
// full buffer.
func (x *Exchange) SendRequest(r *Request) error { return x.out.request(r) }

// ReceiveResponse returns the next head from the agent: any number of interim
// ones (Response.Interim), then the final one. It is valid until the next call
// of ReceiveResponse.
func (x *Exchange) ReceiveResponse() (*Response, error) { return x.in.receiveResponse() }

// SendResponse sends an interim head, or one that upgrades, at once, or begins
// the agent's half with a final one, which is sent with the next Flush, End or
// full buffer. A final head that was not sent yet is replaced, body and all.
func (x *Exchange) SendResponse(r *Response) error {
	err := x.out.response(r)
	if err == nil && x.opened != nil && r.Flags&ResponseUpgrade != 0 {
		x.opened()
	}
	return err
}

// HeadSent reports whether any byte of a final response is on its way.
func (x *Exchange) HeadSent() bool { return x.out.headGone() }

// OnUpgrade sets what SendResponse calls once it has sent a head that upgrades.
// It is set before, by whoever calls that, and must not block.
func (x *Exchange) OnUpgrade(fn func()) { x.opened = fn }

// Bodies returns how many bytes of the peer's body have come, and how many of
// this half's were sent or queued. Nobody reads meanwhile.
func (x *Exchange) Bodies() (in, out int64) {
	x.out.mu.Lock()
	defer x.out.mu.Unlock()
	return x.in.received, x.out.sent
}

// Data returns the next bytes of the peer's body. They are valid until the
// next call. After the peer's END, and if as many bytes came as its head
// announced, it returns io.EOF.
func (x *Exchange) Data() ([]byte, error) {
	p, err := x.in.data()
	if q := x.paced(); q != nil {
		q.pace(x, len(p))
	}
	return p, err
}

// Read is Data for an io.Reader's users. No Quota makes it wait.
func (x *Exchange) Read(p []byte) (int, error) { return x.in.read(p) }

// Buffered reports whether Data would return without waiting.
func (x *Exchange) Buffered() bool { return x.paced() == nil && x.in.buffered() }

// Trailers returns the peer's trailers once Data has returned io.EOF.
func (x *Exchange) Trailers() Header { return x.in.trailers }

// Write queues bytes of this half's body; it sends them when a buffer is full
// and may then wait for the peer to read, and for the Quota before.
func (x *Exchange) Write(p []byte) (int, error) {
	if q := x.paced(); q != nil && !x.stopped.Load() {
		q.pace(x, len(p))
	}
	return x.out.write(p)
}

// Flush sends what is queued.
func (x *Exchange) Flush() error { return x.out.flush() }

// End sends what is queued, with trailers if there are any, and ends this
// half. A body shorter than announced cannot be ended: it fails.
func (x *Exchange) End(trailers Header) error { return x.out.end(trailers) }

// Stop asks the opener for no more of the request's body. Its stream is not
// used again.
func (x *Exchange) Stop() error { return x.out.stop() }

// Err is why the exchange failed, nil if it did not.
func (x *Exchange) Err() error {
	if f := x.failed(); f != nil {
		return f
	}
	return nil
}

func (x *Exchange) failed() *Failure {
	x.mu.Lock()
	f := x.failure
	x.mu.Unlock()
	return f
}

// OnAbort sets what is called, once and from another goroutine, when the peer
// gives the exchange up or the lane ends; at once if that has happened. It
// must not block. nil clears it.
func (x *Exchange) OnAbort(fn func(*Failure)) {
	x.mu.Lock()
	f := x.failure
	x.onAbort = fn
	x.mu.Unlock()
	if f != nil {
		x.call(f)
	}
}

// Abort ends both halves now and wakes whoever waits. The agent's failure
// follows the bytes it has sent, unless they are stuck; the opener's overtakes
// them.
func (x *Exchange) Abort(f *Failure) { x.abort(f) }

// abort is Abort, and reports whether the exchange could still fail.
func (x *Exchange) abort(f *Failure) bool {
	x.mu.Lock()
	if x.failure != nil || x.closed || x.over {
		x.mu.Unlock()
		return false
	}
	x.failure, x.aborted = f, true
	seq := x.seq
	x.mu.Unlock()
	if !x.lane.session.agent || !x.out.fail(f) {
		x.lane.control.reset(reset{x.stream.StreamID(), seq, f})
	}
	x.wake()
	return true
}

// conclude is the agent's last chance to abort: its answer, which the relay may
// take for whole, is about to end. It returns the failure that came before.
func (x *Exchange) conclude() *Failure {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = x.failure == nil && x.lane.session.agent && !x.upgraded.Load()
	return x.failure
}

// tells reports whether this end told the other of the failure.
func (x *Exchange) tells() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.aborted
}

// set records the first failure; false if there was one.
func (x *Exchange) set(f *Failure) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failure != nil || x.closed {
		return false
	}
	x.failure = f
	return true
}

// stopBy is the agent's STOP: it wakes a writer that waits for the window.
func (x *Exchange) stopBy() {
	x.stopped.Store(true)
	// A stream's deadlines cannot fail to be set.
	_ = x.stream.SetWriteDeadline(past)
	x.out.wake()
}

func (x *Exchange) wake() {
	// A stream's deadlines cannot fail to be set.
	_ = x.stream.SetDeadline(past)
	x.out.wake()
}

// resetBy is the peer's RESET. It may overtake the REQ it means.
func (x *Exchange) resetBy(r reset) {
	x.mu.Lock()
	if r.seq > x.seq {
		x.early = r
	}
	now := r.seq == x.seq
	x.mu.Unlock()
	if now {
		if !x.lane.session.agent {
			r.failure.By = Agent
		}
		x.broken(r.failure)
	}
}

// lost is the lane's end. The opener finds it behind what has arrived, which
// may hold END.
func (x *Exchange) lost(cause error) {
	if x.lane.session.agent {
		x.broken(Fail(LinkLost, cause))
	}
}

// broken is a failure that the peer or the lane brings. A reader may have seen
// its consequence before, and set another.
func (x *Exchange) broken(f *Failure) {
	x.set(f)
	if f := x.failed(); f != nil {
		x.wake()
		x.call(f)
	}
}

// abandon is Abort for an exchange that another goroutine serves.
func (x *Exchange) abandon(f *Failure) {
	if x.abort(f) {
		x.call(f)
	}
}

// call tells whoever serves the exchange.
func (x *Exchange) call(f *Failure) {
	x.mu.Lock()
	fn := x.onAbort
	x.onAbort = nil
	x.mu.Unlock()
	if fn != nil {
		fn(f)
	}
}

// streamError turns an error of the stream into the exchange's failure.
func (x *Exchange) streamError(err error) *Failure {
	if f := x.failed(); f != nil {
		return f
	}
	f := &Failure{Cause: LinkLost, Detail: "the stream was cut"}
	switch {
	case x.lane.closing():
		f.Detail = x.lane.cause().Error()
	case x.stopped.Load() && errors.Is(err, yamux.ErrTimeout):
		return Fail(VisitorIncomplete, ErrStopped)
	case errors.Is(err, io.EOF) && x.lane.session.agent:
		// The relay has left, and its RESET is still to be read.
		f = &Failure{Cause: VisitorGone, Detail: "the relay gave the exchange up"}
	case errors.Is(err, io.EOF):
		f.Detail = "the stream ended without END"
	}
	x.set(f)
	return x.or(f)
}

// violation is what the peer must not do; it is told.
func (x *Exchange) violation(format string, args ...any) *Failure {
	f := &Failure{Cause: Protocol, Detail: fmt.Sprintf(format, args...)}
	x.abort(f)
	return x.or(f)
}

// or returns the exchange's failure, f if it has none.
func (x *Exchange) or(f *Failure) *Failure {
	if known := x.failed(); known != nil {
		return known
	}
	return f
}
