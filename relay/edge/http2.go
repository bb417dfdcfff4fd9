package edge

import (
	"context"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2/hpack"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

const (
	// maxStreams is how many streams a connection may have open.
	maxStreams = 250

	// maxServing is how many of its requests are served at a time: those of
	// streams that have just ended are about to be done with.
	maxServing = maxStreams + 50

	// maxBlock bounds a header block, and what it says once it is unpacked:
	// twice what a head may be, so that most that are too large are answered.
	maxBlock = 2 * http1.MaxHead

	// hpackTable is the size of the dynamic table for a visitor's heads, the
	// initial value (RFC 9113 6.5.2).
	hpackTable = 4096
)

// A conn2 is a visitor's connection that speaks HTTP/2 (RFC 9113). One
// goroutine reads its frames, one writes what is queued, and one serves each
// open stream.
type conn2 struct {
	edge   *Edge
	nc     net.Conn // what is read and written
	raw    net.Conn // beneath TLS
	peer   peer
	client []byte             // peer.addr
	ctx    context.Context    // ends with the connection; tunnel.Open has no other way to learn of it
	cancel context.CancelFunc // of ctx

	// Owned by the goroutine that reads.
	buf      *[]byte // unread bytes are (*buf)[r:w]
	r, w     int
	lastRead int            // how many bytes the last read brought
	arriving bool           // what heading was set to
	hpack    *hpack.Decoder // adds to block.head
	block    block
	aside    head          // trailers, and what nobody wants
	added    tunnel.Header // what share adds to a request for addedFor
	addedFor string
	covered  bool // the connection serves addedFor

	serving sync.WaitGroup // goroutines of streams
	written chan struct{}  // closed when the goroutine that writes has ended

	mu      sync.Mutex
	streams map[uint32]*stream // guarded by mu; those that are open
	parked  []*stream          // guarded by mu; those that wait for their next request
	running int                // guarded by mu; requests that are being read or served
	last    uint32             // guarded by mu; the highest stream of the visitor's
	resets  resets             // guarded by mu
	calm    int                // guarded by mu; see spend

	out      *[]byte    // guarded by mu; what is queued, nil if nothing is
	batch    uint64     // guarded by mu; counts what was taken of it
	due      bool       // guarded by mu; it is to be sent now
	sending  bool       // guarded by mu; the connection takes a batch
	broken   bool       // guarded by mu; it takes no more
	untabled bool       // guarded by mu; the visitor was told that heads use no table
	work     *sync.Cond // something is due, or over set
	room     *sync.Cond // there may be room to send: a batch was taken, or the window grew

	window  int64 // guarded by mu; what the visitor takes of all streams
	initial int64 // guarded by mu; what it takes of a new one
	allowed int64 // guarded by mu; what it may send on all streams
	held    int64 // guarded by mu; what of that is unread
	most    int64 // guarded by mu; what that may become
	spare   int64 // guarded by mu; what of that was taken of Config.Uploads

	begun     bool       // guarded by mu; SETTINGS were sent, or are about to be
	heading   bool       // guarded by mu; the beginning, or a header block, is under way
	headSpan  spell      // guarded by mu; how long
	idleSpan  spell      // guarded by mu; how long there have been no requests
	leaving   bool       // guarded by mu; a GOAWAY was sent
	leaveSpan spell      // guarded by mu; how long ago
	final     bool       // guarded by mu; it named the last stream that is served
	ending    bool       // guarded by mu; reads end because all is served
	fault     *connError // guarded by mu; why they end otherwise, nil if they do not
	over      bool       // guarded by mu; the connection has ended
}

func newConn2(e *Edge, nc, raw net.Conn, first []byte) *conn2 {
	c := &conn2{
		edge: e, nc: nc, raw: raw,
		streams: make(map[uint32]*stream), written: make(chan struct{}),
		window: firstWindow, initial: firstWindow, allowed: firstWindow, most: firstWindow,
		calm: maxCalm, heading: true, arriving: true,
	}
	if e.Uploads == nil {
		c.most = connWindow
	}
	c.work, c.room = sync.NewCond(&c.mu), sync.NewCond(&c.mu)
	c.peer = newPeer(raw.RemoteAddr(), nc != raw, e.TrustedProxies)
	c.client = []byte(c.peer.addr)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.hpack = hpack.NewDecoder(hpackTable, func(f hpack.HeaderField) { c.block.head.add(f) })
	c.hpack.SetMaxStringLength(maxBlock)
	c.buf = nbio.Buffer(nbio.Small)
	c.w = copy(*c.buf, first)
	return c
}

// serve reads frames until the connection ends, and closes it when all that it
// started has ended.
func (c *conn2) serve() {
	go c.writer() // ended by end
	err := c.begin()
	for err == nil {
		var f frame
		if f, err = c.next(); err == nil {
			err = c.take(&f)
		}
	}
	c.end(err)
}

// begin exchanges prefaces (RFC 9113 3.4).
func (c *conn2) begin() error {
	c.mu.Lock()
	out := c.queue()
	*out = appendSettings(*out,
		settingMaxStreams, maxStreams,
		settingInitialWindow, streamWindow,
		settingMaxHeadSize, http1.MaxHead+http1.MaxFields*32, // RFC 9113 6.5.2 adds 32 to each
		settingNoPriorities, 1)
	c.grant()
	c.kick()
	c.begun, c.leaving = true, c.hurried()
	c.mu.Unlock()
	for c.w-c.r < len(preface2) {
		if err := c.fill(); err != nil {
			return err
		}
	}
	if string((*c.buf)[c.r:c.r+len(preface2)]) != preface2 {
		return violation2(codeProtocol, "no preface")
	}
	c.r += len(preface2)
	f, err := c.next()
	if err != nil {
		return err
	}
	if f.typ != frameSettings || f.flags&flagAck != 0 {
		return violation2(codeProtocol, "no SETTINGS behind the preface")
	}
	c.arrive(false)
	return c.take(&f)
}

// next reads a whole frame.
func (c *conn2) next() (f frame, err error) {
	for c.w-c.r < frameHeaderLen {
		if err := c.fill(); err != nil {
			return f, err
		}
	}
	f, n := parseFrameHeader((*c.buf)[c.r:])
	if n > maxFrame {
		return f, violation2(codeFrameSize, "a frame above 16 KiB")
	}
	for c.w-c.r < frameHeaderLen+n {
		if f.typ == frameHeaders {
			c.arrive(true)
		}
		if err := c.fill(); err != nil {
			return f, err
		}
	}
	c.r += frameHeaderLen
	f.payload = (*c.buf)[c.r : c.r+n : c.r+n]
	c.r += n
	return f, nil
}

// fill reads more behind what is unread, with a larger buffer while there is
// much to read.
func (c *conn2) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
		if c.lastRead < nbio.Small {
			c.buf = nbio.Fit(c.buf, c.lastRead)
		}
	} else if c.w == len(*c.buf) || c.r > 0 && len(*c.buf)-c.r < frameHeaderLen+maxFrame {
		c.w = copy(*c.buf, (*c.buf)[c.r:c.w])
		c.r = 0
	}
	if c.w == len(*c.buf) {
		c.buf = nbio.Grow(c.buf)
	}
	n, err := c.nc.Read((*c.buf)[c.w:])
	c.w += n
	c.lastRead = n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// arrive notes whether a head, or the preface, is arriving.
func (c *conn2) arrive(arriving bool) {
	if c.arriving == arriving {
		return
	}
	c.arriving = arriving
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heading = arriving
	c.headSpan.begin()
}
