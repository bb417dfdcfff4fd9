package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

const (
	// outBuffer is how much of an answer is gathered before it is sent.
	outBuffer = 32 << 10

	// A Large buffer holds any head.
	_ = uint(nbio.Large - http1.MaxHead)

	// largePiece is from where on a copy costs more than it saves.
	largePiece = 16 << 10

	// lastLook is how long it takes to read what is there.
	lastLook = time.Millisecond
)

var outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, outBuffer); return &b }}

// A phase is what a connection waits for.
type phase uint8

const (
	phaseIdle phase = iota // a request's first byte
	phaseHead              // the rest of its head
	phaseBody              // its body, or room to send
	phaseWait              // the answer, the request being whole
	phaseOver              // the visitor's end, or ours
)

// A conn is a visitor's connection that speaks HTTP/1.1. It is a visitor for
// one exchange after the other.
type conn struct {
	edge *Edge
	nc   net.Conn // what is read and written
	raw  net.Conn // beneath TLS
	peer peer

	buf  *[]byte // unread bytes are (*buf)[r:w]
	r, w int
	text []byte // the request's head, which http aliases
	http http1.Request
	out  *[]byte // what is queued; nil if nothing is

	request  request
	idBuf    [idLen]byte
	fields   tunnel.Header // storage of the request's fields
	client   []byte        // peer.addr
	added    tunnel.Header // what share adds to a request for addedFor
	addedFor string
	covered  bool // the connection serves addedFor

	chunked   http1.Chunked // the request's body
	unread    int64         // of a body with a length
	wholeBody atomic.Bool   // the request's body was read to its end

	keep     bool  // the connection takes another request
	over     bool  // nothing is left to be read or sent
	began    bool  // bytes of a final head were queued
	gone     bool  // they were sent, some at least
	bodyless bool  // the answer has no body
	framed   bool  // the answer is chunked
	owed     int64 // bytes of body that the answer's head announced and write has not got
	close10  bool  // the answer ends with the connection

	key    string // of a WebSocket that the connection is to become; empty if it is not
	secret bool   // that was asked for over TLS

	mu      sync.Mutex
	phase   phase            // guarded by mu
	turn    uint64           // guarded by mu; counts changes of phase
	expired bool             // guarded by mu; reads end because the phase has lasted too long
	watched *tunnel.Exchange // guarded by mu
	peeking chan struct{}    // guarded by mu; closed when the read ahead has ended, nil if there is none
	peeked  error            // what ended it; read after peeking is closed

	ctx    context.Context // ends with the connection; tunnel.Open has no other way to learn of it
	cancel context.CancelFunc

	seenTurn uint64    // guarded by mu; turn at an earlier look
	seenAt   time.Time // guarded by mu; when that was
}

func newConn(e *Edge, nc, raw net.Conn, first []byte) *conn {
	c := &conn{edge: e, nc: nc, raw: raw}
	c.peer = newPeer(raw.RemoteAddr(), nc != raw, e.TrustedProxies)
	c.client = []byte(c.peer.addr)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.buf = nbio.Buffer(nbio.Small)
	c.w = copy(*c.buf, first)
	return c
}

// serve answers one request after the other, and closes the connection.
func (c *conn) serve() {
	defer c.release()
	for {
		head, err := c.readHead()
		if err != nil {
			c.refuse(err, (*c.buf)[c.r:c.w])
			return
		}
		if !c.respond(head) {
			return
		}
	}
}

// release closes the connection, unless it is to become another's, and gives
// its buffers back.
func (c *conn) release() {
	c.cancel()
	if c.key == "" {
		c.nc.Close()
	}
	nbio.Free(c.buf)
	c.freeOut()
}

// enter changes the phase.
func (c *conn) enter(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = p
	c.turn++
	if c.expired {
		// What was awaited came all the same, at the last moment. As in
		// stopReads.
		c.expired = false
		_ = c.nc.SetReadDeadline(time.Time{})
	}
}

// expire ends the phase for want of bytes; mu is held.
func (c *conn) expire() {
	if !c.expired {
		c.expired = true
		c.stopReads()
	}
}

// errIdle ends a connection that nobody misses.
var errIdle = errors.New("idle")

// readHead returns the next request's head, copied to c.text. Its error is
// errIdle, or a Failure to answer with.
func (c *conn) readHead() ([]byte, error) {
	c.enter(phaseIdle)
	if c.edge.closing.Load() && !c.asked() {
		return nil, errIdle
	}
	for looked, asked := 0, false; ; {
		if c.w > c.r {
			if !asked && c.asked() {
				asked = true
				c.enter(phaseHead)
			}
			n, err := http1.RequestHead((*c.buf)[c.r:c.w], looked)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				c.text = append(c.text[:0], (*c.buf)[c.r:c.r+n]...)
				c.r += n
				return c.text, nil
			}
			looked = c.w - c.r
		}
		if err := c.fill(); err != nil && !c.arrived(err) {
			return nil, c.headError(err)
		}
	}
}

// arrived reports whether something came after all for which err, of a read, says
// that the connection has been idle for too long: whoever is told of the deadline
// is not told of bytes that were there.
func (c *conn) arrived(err error) bool {
	if c.asked() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	// A connection that takes no deadline is broken: the read fails.
	_ = c.nc.SetReadDeadline(time.Now().Add(lastLook))
	return c.fill() == nil
}

// asked reports whether anything of a request has come. An empty line is none: some
// visitors send one behind a body (RFC 9112 2.2).
func (c *conn) asked() bool {
	came := (*c.buf)[c.r:c.w]
	return len(came) > 0 && string(came) != "\r\n"
}

// headError says what a failed read means between requests and inside a head.
func (c *conn) headError(err error) error {
	if !c.asked() {
		return errIdle
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if c.peer.refusal != nil {
			return c.peer.refusal // which is nothing that a faster head would change
		}
		return tunnel.Fail(tunnel.RequestTimeout, nil)
	}
	return errIdle // half a head, and the visitor has left
}

// fill reads more behind what is unread, into a larger buffer if need be.
func (c *conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(*c.buf) {
		if c.r == 0 {
			c.buf = nbio.Grow(c.buf)
		} else {
			c.w = copy(*c.buf, (*c.buf)[c.r:c.w])
			c.r = 0
		}
	}
	n, err := c.nc.Read((*c.buf)[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// shrink goes back to a small buffer when it suffices.
func (c *conn) shrink() {
	if c.r == c.w {
		c.buf = nbio.Fit(c.buf, 0)
		c.r, c.w = 0, 0
	}
	if cap(c.text) > nbio.Small {
		c.text = nil
	}
}

// look is the connection's share of Edge.watch.
func (c *conn) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != c.seenTurn {
		c.seenTurn, c.seenAt = c.turn, now
		return
	}
	waited := now.Sub(c.seenAt)
	switch {
	case c.phase == phaseIdle && waited >= c.edge.idleTime(&c.peer), c.phase == phaseHead && waited >= c.edge.headTime(&c.peer):
		c.expire()
	case c.phase == phaseWait && c.watched != nil && c.peeking == nil:
		c.peeking = make(chan struct{})
		go c.peek(c.watched, c.peeking) // unwatch waits for it
	}
}

// stopReads makes the read under way, and later ones, return; mu is held.
func (c *conn) stopReads() {
	// A connection that takes no deadline is broken: reads return anyway.
	_ = c.nc.SetReadDeadline(past)
}

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// peek reads ahead while an answer is awaited: a visitor who leaves is seen
// only by reading. It stops when the buffer is full.
func (c *conn) peek(x *tunnel.Exchange, done chan struct{}) {
	defer close(done)
	for c.peeked = nil; c.peeked == nil; {
		if c.w-c.r >= nbio.Large {
			return
		}
		c.peeked = c.fill()
	}
	if errors.Is(c.peeked, os.ErrDeadlineExceeded) {
		c.peeked = nil
		return
	}
	x.Abort(tunnel.Fail(tunnel.VisitorGone, c.peeked))
	c.cancel()
}

func (c *conn) watch(x *tunnel.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = x
	c.turn++
}

func (c *conn) unwatch() {
	c.mu.Lock()
	peeking := c.peeking
	c.watched, c.peeking = nil, nil
	if peeking != nil {
		c.stopReads()
	}
	c.mu.Unlock()
	if peeking != nil {
		<-peeking
		// As in stopReads.
		_ = c.nc.SetReadDeadline(time.Time{})
	}
}

// answering reports whether a request is under way.
func (c *conn) answering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == phaseBody || c.phase == phaseWait
}

// closeIdle ends the connection if it is between two requests, and reports
// whether it is. A request whose first byte has come is served all the same.
func (c *conn) closeIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseIdle {
		c.expire()
	}
	return c.phase == phaseIdle
}

// yield does nothing: the answer to the next request says that it is the last.
func (c *conn) yield() {}

// drain ends the connection when the request under way is answered.
func (c *conn) drain() { c.closeIdle() }
