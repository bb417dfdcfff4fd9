package tunnel

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel/nbio"
)

const (
	// linkBatch is how many bytes wait for the flusher before Write blocks.
	linkBatch = 32 << 10

	// smallBatch is what waits for others to join it: a system call is dearer
	// than the moment that takes. A larger one would only arrive later.
	smallBatch = 4 << 10

	// firstBuffer is the size of the buffer that a batch begins in: room for
	// what an idle link has to say, since many may have to at once.
	firstBuffer = 2 << 10

	// linkBuffer is the size of a full batch's buffer, which a last frame
	// overshoots. While frames are larger so is the buffer.
	linkBuffer = linkBatch + minChunk + muxHeaderLen
	bulkBuffer = linkBatch + maxChunk + muxHeaderLen

	// readAhead is how much is read at once while small frames arrive.
	readAhead = 48 << 10

	// largePiece is from where on a copy costs more than it saves.
	largePiece = 16 << 10

	// tlsRecord is the most that TLS puts into one record, and one write.
	tlsRecord = 16 << 10

	// goodbyeTime bounds TLS's goodbye, which waits behind whatever is stuck.
	goodbyeTime = 100 * time.Millisecond

	// frameTime is how long a frame may keep the connection from others.
	frameTime = 2 * time.Millisecond

	// stallTime is how long the connection may take a batch for before it has
	// stalled.
	stallTime = time.Second

	// muxHeaderLen is the length of the multiplexer's frame header.
	muxHeaderLen = 12
)

var (
	firstBuffers = sync.Pool{New: func() any { b := make([]byte, 0, firstBuffer); return &b }}
	linkBuffers  = sync.Pool{New: func() any { b := make([]byte, 0, linkBuffer); return &b }}
	bulkBuffers  = sync.Pool{New: func() any { b := make([]byte, 0, bulkBuffer); return &b }}
	aheadBuffers = sync.Pool{New: func() any { b := make([]byte, readAhead); return &b }}
)

// A link is the connection under a multiplexer. It gathers frames, which the
// multiplexer writes as header and body apart, and sends all that has
// gathered in one write: one system call and one TLS record instead of two for
// each frame. It also watches what the peer sends, see guard.
//
// One goroutine may Write, one may Read; Flush and Close may be called by any.
type link struct {
	net.Conn
	socket  *nbio.Conn // what Conn is or is built on, nil if that is not known
	layered bool       // Conn is built on socket: TLS
	guard   guard      // owned by the reading goroutine
	failing func()     // if not nil, called before a Read fails
	ending  func()     // if not nil, called before the connection is closed

	// arrived is told how many bytes of streams have come in all. Its error
	// ends the link.
	arrived func(bytes int64) error

	heard   atomic.Int64 // when a byte last arrived, a stamp
	partial atomic.Int64 // since when a frame is arriving, a stamp; 0 if none is
	sending atomic.Int64 // since when the connection takes a batch, a stamp; 0 if it has
	chunk   atomic.Int32 // bytes that the connection takes in about frameTime

	stalls *atomic.Uint64 // counts the batches that have stalled; nil if nobody asks

	readBuf *[]byte // what a large read brought beyond what was asked; owned by the reading goroutine
	unread  []byte  // the part of readBuf not yet handed out
	more    bool    // the last read filled its buffer

	flusher func() // flush, as a value that a go statement need not make

	mu       sync.Mutex
	pending  *[]byte   // guarded by mu; nil while nothing waits
	awaited  int       // guarded by mu; bytes of a body whose header is pending
	flushing bool      // guarded by mu; a flusher lives
	writing  bool      // guarded by mu; conn.Write is under way
	err      error     // guarded by mu; sticky
	room     sync.Cond // pending was taken, err set, or the flusher has ended
	closed   sync.Once
	closeErr error
}

// newLink returns a link over conn, which it owns: Close closes it.
func newLink(conn net.Conn) *link {
	l := &link{Conn: conn}
	if g, ok := conn.(*greeting); ok {
		conn = g.Conn
	}
	under := beneath(conn)
	l.socket, _ = under.(*nbio.Conn)
	l.layered = l.socket != nil && under != conn
	l.chunk.Store(minChunk)
	l.room.L, l.flusher = &l.mu, l.flush
	l.heard.Store(stamp(time.Now()))
	limitUnsent(under)
	return l
}

// beneath is what conn is built on in the end.
func beneath(conn net.Conn) net.Conn {
	for {
		c, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = c.NetConn()
	}
}

// Write queues p and returns; it blocks while a batch is waiting. A header
// alone is held back until its body has followed.
func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	for l.awaited == 0 && l.pending != nil && len(*l.pending) >= linkBatch && l.err == nil {
		l.room.Wait()
	}
	if l.err != nil {
		l.mu.Unlock()
		return 0, l.err
	}
	if l.through(p) {
		defer l.mu.Unlock()
		for l.writing && l.err == nil {
			l.room.Wait()
		}
		if l.err != nil {
			return 0, l.err
		}
		l.awaited = 0
		l.send(p)
		return len(p), l.err
	}
	l.gather(p)
	if l.awaited > 0 {
		l.awaited -= min(len(p), l.awaited)
	} else if len(p) == muxHeaderLen && p[1] == muxData {
		l.awaited = int(muxLength(p))
	}
	if l.awaited == 0 && !l.flushing {
		l.flushing = true
		go l.flusher() // Close waits for it
	}
	l.mu.Unlock()
	return len(p), nil
}

// through reports whether p is sent as it is rather than gathered: a large body
// is not copied, unless TLS makes one batch into records while the next
// gathers. mu is held.
func (l *link) through(p []byte) bool {
	return l.socket != nil && len(p) >= largePiece && l.awaited == len(p) &&
		(!l.layered || !l.flushing)
}

// gather appends p to what is pending. mu is held.
func (l *link) gather(p []byte) {
	if l.pending == nil {
		l.pending = firstBuffers.Get().(*[]byte)
	}
	if cap(*l.pending) == firstBuffer && len(*l.pending)+len(p) > firstBuffer {
		first := l.pending
		l.pending = l.buffer().Get().(*[]byte)
		*l.pending = append(*l.pending, *first...)
		recycle(first)
	}
	*l.pending = append(*l.pending, p...)
}

// flush is the flusher, which sends what Write gathered and ends when there is
// no more: an idle link has none. It yields before it takes a small batch, so
// that whoever is ready to write joins it, and before it ends.
func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for more := true; more; {
		if l.pending == nil || len(*l.pending) < smallBatch {
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
		}
		more = l.err == nil && !l.writing && l.pending != nil && l.awaited == 0
		if more {
			l.send(nil)
		}
	}
	l.flushing = false
	l.room.Broadcast()
}

// send sends what is pending and then p. mu is held, but not while it writes.
func (l *link) send(p []byte) {
	batch := l.pending
	l.pending = nil
	l.writing = true
	l.mu.Unlock()
	l.room.Broadcast()

	began := time.Now()
	l.sending.Store(stamp(began))
	var err error
	switch {
	case l.layered && (p != nil || len(*batch) > tlsRecord):
		err = l.sendCorked(*batch, p)
	case p == nil:
		_, err = l.Conn.Write(*batch)
	default:
		_, err = l.socket.WriteBoth(*batch, p)
	}
	l.sending.Store(0)
	took := time.Since(began)
	l.adapt(len(*batch)+len(p), took)
	if took >= stallTime && l.stalls != nil {
		l.stalls.Add(1)
	}
	recycle(batch)

	l.mu.Lock()
	l.writing = false
	if err != nil && l.err == nil {
		l.err = err
	}
	l.room.Broadcast()
}

// sendCorked sends both through the layer above the socket, whose records then
// go in one write.
func (l *link) sendCorked(batch, p []byte) error {
	l.socket.Cork()
	_, err := l.Conn.Write(batch)
	if err == nil && len(p) > 0 {
		_, err = l.Conn.Write(p)
	}
	if uerr := l.socket.Uncork(); err == nil {
		err = uerr
	}
	return err
}

// recycle gives a batch's buffer back to its pool.
func recycle(batch *[]byte) {
	*batch = (*batch)[:0]
	switch cap(*batch) {
	case firstBuffer:
		firstBuffers.Put(batch)
	case linkBuffer:
		linkBuffers.Put(batch)
	case bulkBuffer:
		bulkBuffers.Put(batch)
	}
}

// buffer is where the buffer of a batch comes from that has outgrown its first.
func (l *link) buffer() *sync.Pool {
	if l.chunk.Load() > minChunk {
		return &bulkBuffers
	}
	return &linkBuffers
}

// adapt sets how large frames may be from how long the connection took n
// bytes. Fewer than a frame's may just have filled a buffer, and say nothing;
// nor does one batch say much: frames become large slowly.
func (l *link) adapt(n int, took time.Duration) {
	chunk := int(l.chunk.Load())
	if n < chunk {
		return
	}
	fits := int64(n) * int64(frameTime) / int64(max(took, time.Microsecond))
	l.chunk.Store(int32(max(min(fits, int64(chunk+minChunk), maxChunk), minChunk)))
}

// Flush returns when all that was written has been handed to the connection,
// or with the error that keeps it from being.
func (l *link) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && (l.pending != nil || l.writing) {
		l.room.Wait()
	}
	return l.err
}

// errLinkClosed is what Write returns after Close.
var errLinkClosed = errors.New("link closed")

// fail makes err the answer to every later Write.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = err
	}
	l.mu.Unlock()
	l.room.Broadcast()
}

// cause is why the link failed, or nil.
func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close closes the connection at once and waits for the flusher. What is
// pending is lost: call Flush first.
func (l *link) Close() error {
	l.closed.Do(func() {
		if l.ending != nil {
			l.ending()
		}
		l.fail(errLinkClosed)
		if l.layered {
			defer time.AfterFunc(goodbyeTime, func() { l.socket.Close() }).Stop()
		}
		l.closeErr = l.Conn.Close()
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.flushing {
		l.room.Wait()
	}
	return l.closeErr
}
