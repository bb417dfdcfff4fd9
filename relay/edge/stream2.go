package edge

import (
	"errors"
	"sync"

	"share/tunnel"
)

const (
	// keepParked is how many streams of a connection wait for their next
	// request with their goroutine and buffers.
	keepParked = 64

	// keepBody is how large a buffer such a stream may keep.
	keepBody = 16 << 10
)

// A stream is one exchange of an HTTP/2 connection, and then another's. It is
// the visitor of its exchange.
type stream struct {
	conn *conn2
	work chan struct{} // a request waits; closed when none will come

	// Set by the goroutine that reads, before work.
	asked   head          // the request as it came
	fields  tunnel.Header // storage of the request's fields
	name    []byte        // the request's host in canonical form
	port    int           // -1 if none was given
	refusal *tunnel.Failure
	request request
	idBuf   [idLen]byte

	// Owned by the goroutine that serves.
	pending *tunnel.Response // a head that is not queued
	begun   bool             // a final head is

	cond *sync.Cond // anything below has changed; of conn.mu, which guards it
	id   uint32     // 0 unless it is open or served

	tail        head          // trailers
	trailing    tunnel.Header // their storage
	filling     []byte        // what came of the body and is unread
	reading     []byte        // what body returned last
	length      int64         // of the body, -1 if not announced
	came        int64         // of the body
	whole       bool          // the request has ended
	interrupted bool          // body returns
	allowed     int64         // what the visitor may send
	credit      int64         // what was read of it and not given back
	limit       int64         // how much that is at most

	window   int64  // what the visitor takes
	lastData int    // where the header of the last DATA queued is in conn.out
	inBatch  uint64 // of that batch
	ended    bool   // the answer has

	failure *tunnel.Failure  // why the stream ended early, nil if it has not
	watched *tunnel.Exchange // aborted then
	telling bool             // it is being aborted
}

func newStream(c *conn2) *stream {
	return &stream{conn: c, cond: sync.NewCond(&c.mu)}
}

// unparked returns a stream without a request; mu is held.
func (c *conn2) unparked() *stream {
	if n := len(c.parked); n > 0 {
		s := c.parked[n-1]
		c.parked[n-1] = nil
		c.parked = c.parked[:n-1]
		return s
	}
	return newStream(c)
}

// unpark ends those that wait; mu is held.
func (c *conn2) unpark() {
	for _, s := range c.parked {
		if s.work != nil {
			close(s.work)
		}
	}
	c.parked = nil
}

// park reports whether s waits for another request.
func (c *conn2) park(s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || len(c.parked) >= keepParked {
		return false
	}
	c.parked = append(c.parked, s)
	return true
}

// renew forgets the last request; the goroutine that reads calls it.
func (s *stream) renew() *request {
	s.request = request{Request: tunnel.Request{ID: s.conn.edge.ids.append(s.idBuf[:0])}, start: s.conn.edge.begin()}
	s.pending, s.begun = nil, false
	return &s.request
}

// open begins a request; mu is held.
func (s *stream) open(id uint32, end bool, window int64) {
	s.id, s.whole, s.ended, s.interrupted = id, end, false, false
	s.length, s.came = s.request.ContentLength, 0
	s.allowed, s.credit, s.limit = streamWindow, 0, streamWindow
	s.window, s.lastData = window, -1
	s.failure = nil
	s.tail.reset(true)
}

// start has the stream's goroutine serve the request, and starts it if there is
// none.
func (s *stream) start() {
	if s.work == nil {
		s.work = make(chan struct{}, 1)
		s.conn.serving.Go(s.run)
	}
	s.work <- struct{}{}
}

// run serves one request after the other.
func (s *stream) run() {
	for range s.work {
		s.serve()
		if !s.conn.park(s) {
			return
		}
	}
}

// serve answers a request.
func (s *stream) serve() {
	c, r := s.conn, &s.request
	var out outcome
	if s.refusal != nil {
		out = c.edge.refuse(s, r, s.refusal)
	} else {
		out = c.edge.dispatch(c.ctx, s, r, s.name)
	}
	c.edge.settle(r, &c.peer, out)
	c.close(s)
}

// close ends a stream whose request was served. A request that has not ended is
// told that no more of it is wanted (RFC 9113 8.1).
func (c *conn2) close(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.ended {
		c.reset(s, codeInternal, "")
	} else if !s.whole {
		c.reset(s, codeNone, "")
	}
	delete(c.streams, s.id)
	c.held -= int64(len(s.filling) + len(s.reading))
	c.grant()
	s.id, s.filling, s.reading = 0, s.filling[:0], s.reading[:0]
	if cap(s.filling) > keepBody {
		s.filling = nil
	}
	if cap(s.reading) > keepBody {
		s.reading = nil
	}
	s.asked.trim()
	s.tail.trim()
	c.served()
}

// served notes that a request is done with; mu is held.
func (c *conn2) served() {
	if c.running--; c.running > 0 {
		return
	}
	c.idleSpan.begin()
	if c.final {
		c.finish()
	}
}

// reset ends a stream that is open for a fault of the visitor's, or of the
// answer; mu is held, save while the exchange is told.
func (c *conn2) reset(s *stream, why code, detail string) {
	if c.streams[s.id] != s {
		return
	}
	c.sendReset(s.id, why)
	c.fail(s, tunnel.Fail(tunnel.VisitorIncomplete, errors.New(detail)))
}

// sendReset queues a RST_STREAM; mu is held.
func (c *conn2) sendReset(id uint32, why code) {
	out := c.queue()
	*out = appendWord(*out, frameReset, id, uint32(why))
	c.resets.add(id)
	c.kick()
}

// fail ends a stream that is open; mu is held, save while the exchange is told.
func (c *conn2) fail(s *stream, f *tunnel.Failure) {
	if c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	s.failure = f
	s.cond.Broadcast()
	c.room.Broadcast()
	if x := s.watched; x != nil {
		s.telling = true
		c.mu.Unlock()
		x.Abort(f)
		c.mu.Lock()
		s.telling = false
		s.cond.Broadcast()
	}
}

// open returns the streams that are open; mu is held.
func (c *conn2) open() []*stream {
	all := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams {
		all = append(all, s)
	}
	return all
}
