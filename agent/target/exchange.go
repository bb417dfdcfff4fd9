package target

import (
	"context"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

const (
	// smallBuffer holds a usual response, head and body; a Large one any head.
	smallBuffer = 16 << 10
	_           = uint(nbio.Large - http1.MaxResponseHead)

	// maxHead bounds the request head's storage that is kept between exchanges.
	maxHead = 64 << 10

	// earlyGrace is how long a response that was whole before its request waits
	// for the request's rest: often that is only not yet written.
	earlyGrace = 50 * time.Millisecond
)

// A flight carries one exchange over one connection, and is then used for
// another. Its goroutine writes the request and reads the response; a request
// body that is not there at once is carried by a second one.
type flight struct {
	t   *Target
	x   *tunnel.Exchange
	req *tunnel.Request
	c   *conn

	head    []byte    // the request as written first: head and begin of the body
	upgrade []byte    // the protocols asked for, nil if none
	asked   time.Time // when the request came, if the relay asks how long it takes
	taken   int64     // bytes of the request's body that were read from x
	sent    bool      // the request is whole in head, or was seen to be written
	carried bool      // a second goroutine sends the request's rest

	small  [smallBuffer]byte
	big    *[]byte // nil unless in use
	buf    []byte  // small or big
	r, w   int     // unread bytes are buf[r:w]
	resp   http1.Response
	out    tunnel.Response
	fields tunnel.Header // storage of out.Header
	chunks http1.Chunked
	status int

	search search // in the answer

	abortFn func(*tunnel.Failure)
	flushFn func() error
	body    sync.WaitGroup // the second goroutine
	written chan bool      // its end: whether the request is written; holds one
	writing chan struct{}  // holds one while it is in a Write

	mu      sync.Mutex
	gone    bool               // guarded by mu; the exchange was given up
	live    *conn              // guarded by mu; what to reset then
	cancel  context.CancelFunc // guarded by mu; or what to cancel
	sendErr error              // guarded by mu; why the target took no more
}

func newFlight(t *Target) *flight {
	f := &flight{t: t, written: make(chan bool, 1), writing: make(chan struct{}, 1)}
	f.buf = f.small[:]
	f.abortFn = f.abort
	f.flushFn = f.flush
	return f
}

// release makes f ready for another exchange.
func (f *flight) release() {
	f.shrink()
	if cap(f.head) > maxHead {
		f.head = nil
	}
	f.x, f.req, f.c, f.upgrade = nil, nil, nil, nil
	f.r, f.w = 0, 0
	f.out, f.search = tunnel.Response{}, search{}
	f.taken, f.sent, f.carried, f.status = 0, false, false, 0
	select {
	case <-f.written:
	default:
	}
	f.mu.Lock()
	f.gone, f.live, f.cancel, f.sendErr = false, nil, nil, nil
	f.mu.Unlock()
}

// serve is Target.Serve.
func (f *flight) serve(x *tunnel.Exchange) (int, *tunnel.Failure) {
	f.x, f.req = x, x.Request()
	x.OnAbort(f.abortFn)
	failure := f.run()
	if failure != nil && f.c != nil {
		// The rest of a body that the target was not sent shall not look sent.
		f.c.sock.reset()
		f.t.pool.drop(f.c)
		f.detach()
	}
	if err := x.Err(); err != nil && failure != nil {
		failure = tunnel.AsFailure(err)
	} else if failure != nil {
		failure = f.fail(failure)
	}
	f.body.Wait()
	return f.status, failure
}

// run carries the exchange. Its failure has not been passed on; without one,
// the exchange has ended well and f.c was put back or closed.
func (f *flight) run() *tunnel.Failure {
	if failure := f.compose(); failure != nil {
		return failure
	}
	if err := f.gather(); err != nil {
		return tunnel.AsFailure(err)
	}
	for tries := 1; ; tries++ {
		if failure := f.connect(tries > 1); failure != nil {
			return failure
		}
		f.send()
		failure := f.receive()
		if failure == nil {
			break
		}
		if !f.mayRepeat(failure, tries) {
			return failure
		}
		f.c.sock.reset()
		f.t.pool.drop(f.c)
		f.r, f.w = 0, 0
		f.refuse(nil)
	}
	f.t.health.alive()
	f.search.head(f.t, f.req, f.upgrade, f.resp.Status, f.resp.ContentLength, f.resp.Fields.Get)
	if f.resp.Status == 101 {
		return f.switchProtocols()
	}
	return f.respond()
}

// mayRepeat reports whether a request that failed may be sent once more: its
// connection died before any byte of an answer, and a second delivery does no
// harm. A connection that had been idle may die at any time; a new one does so
// with the target, which is waited for with Config.Hold alone. One that Run has left
// counts as idle, so that there is a bound for either.
func (f *flight) mayRepeat(failure *tunnel.Failure, tries int) bool {
	return failure.Cause == tunnel.TargetClosed && tries < maxTries && (f.c.reused || f.t.cfg.Hold > 0) && f.repeatable() && f.x.Err() == nil
}

// repeatable reports whether the request may reach the target twice. One that
// switches protocols begins more than itself.
func (f *flight) repeatable() bool {
	return f.upgrade == nil && repeatable(f.req)
}

// repeatable reports whether a request has no body and a method that is safe to
// repeat (RFC 9110 9.2.1).
func repeatable(r *tunnel.Request) bool {
	if r.ContentLength != 0 {
		return false
	}
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// connect sets f.c to a connection from the pool, or to a new one.
func (f *flight) connect(fresh bool) *tunnel.Failure {
	t := f.t
	for !fresh {
		if c := t.takeSpare(); c != nil {
			return f.adopt(c)
		}
		c := t.pool.take(f.repeatable())
		if c == nil {
			break
		}
		if c.alive() {
			f.c = c
			f.attach(c)
			return nil
		}
		t.pool.drop(c)
		c.Close()
	}
	// The exchange has no context: its end arrives at abort.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.mu.Lock()
	f.cancel = cancel
	if f.gone {
		cancel()
	}
	f.mu.Unlock()
	c, failure := t.reach(ctx)
	f.mu.Lock()
	f.cancel = nil
	f.mu.Unlock()
	if failure != nil {
		f.c = nil
		return failure
	}
	return f.adopt(c)
}

// adopt sets f.c to a connection that is not yet in the pool.
func (f *flight) adopt(c *conn) *tunnel.Failure {
	f.c = nil
	if !f.t.pool.add(c) {
		c.Close()
		return f.t.fail(tunnel.Draining, errStopping)
	}
	f.c = c
	f.attach(c)
	return nil
}

// attach says that abort is to reset c.
func (f *flight) attach(c *conn) {
	f.mu.Lock()
	f.live = c
	gone := f.gone
	f.mu.Unlock()
	if gone {
		c.sock.reset()
	}
}

// detach says that abort is to reset nothing more, and reports whether it has
// not been called: it may then still be about to reset the connection, which
// is of no further use.
func (f *flight) detach() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = nil
	return !f.gone
}

// abort is called when the visitor or the relay is gone: the target learns it
// at once.
func (f *flight) abort(*tunnel.Failure) {
	f.mu.Lock()
	f.gone = true
	c, cancel := f.live, f.cancel
	f.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if c != nil {
		c.sock.reset()
	}
}

// flush sends what is queued for the visitor, before the target is waited for.
func (f *flight) flush() error { return f.x.Flush() }

// fail passes a failure on: as an answer if no byte of another one is on its
// way, as an abort otherwise.
func (f *flight) fail(failure *tunnel.Failure) *tunnel.Failure {
	if f.x.HeadSent() {
		failure.AfterHead = true
		f.x.Abort(failure)
		return failure
	}
	if err := f.t.answer(f.x, failure, f.req.ContentLength != 0 && !f.sent); err != nil {
		return tunnel.AsFailure(err)
	}
	f.status = failure.Cause.Status()
	return failure
}
