package delay

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A flow is one direction of a connection: read takes bytes in, write lets
// them out when they are due.
type flow struct {
	line     *Line
	wire     *wire
	src, dst net.Conn

	mu      sync.Mutex
	changed sync.Cond
	queue   []piece // guarded by mu; in the order of their due times
	held    int     // guarded by mu; bytes in queue
	broken  bool    // guarded by mu; src or dst is of no use any more
}

// A piece is what one read brought.
type piece struct {
	due   time.Time
	chunk *chunk
	data  []byte // within chunk
	end   error  // if not nil, there is no data: io.EOF for a half-close, else a reset
}

// A chunk is a buffer that reads fill one after the other.
type chunk struct {
	buf  [largest]byte
	used int // owned by read
	refs int // guarded by the flow's mu; pieces within, and read while it fills it
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func newFlow(l *Line, w *wire, src, dst net.Conn) *flow {
	f := &flow{line: l, wire: w, src: src, dst: dst}
	f.changed.L = &f.mu
	return f
}

// read queues what src brings until it ends.
func (f *flow) read() {
	var c *chunk
	for {
		if c == nil || len(c.buf)-c.used < least {
			c = f.next(c)
		}
		n, err := f.src.Read(c.buf[c.used:min(len(c.buf), c.used+f.wire.chunk)])
		now := time.Now()
		due, more := f.wire.send(now, n)
		if n > 0 {
			f.push(piece{due: due, chunk: c, data: c.buf[c.used : c.used+n]})
			c.used += n
		}
		if err != nil {
			f.push(piece{due: due, end: err})
			f.drop(c)
			return
		}
		if !f.line.wait(more) || !f.room() {
			f.drop(c)
			f.abort()
			return
		}
	}
}

// next gives c up and returns an empty chunk.
func (f *flow) next(c *chunk) *chunk {
	if c != nil {
		f.drop(c)
	}
	c = chunks.Get().(*chunk)
	c.used, c.refs = 0, 1
	return c
}

// drop takes one reference from c.
func (f *flow) drop(c *chunk) {
	f.mu.Lock()
	c.refs--
	unused := c.refs == 0
	f.mu.Unlock()
	if unused {
		chunks.Put(c)
	}
}

func (f *flow) push(p piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.chunk != nil {
		p.chunk.refs++
	}
	f.queue = append(f.queue, p)
	f.held += len(p.data)
	f.changed.Signal()
}

// room waits until the queue takes more; false if it never will.
func (f *flow) room() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.held >= unbounded && !f.broken {
		f.changed.Wait()
	}
	return !f.broken
}

// write lets out what is due until the end.
func (f *flow) write() {
	for {
		first, ok := f.first()
		if !ok || !f.line.wait(first.due) {
			return
		}
		if first.end != nil {
			f.finish(first.end)
			return
		}
		data, n := f.due(time.Now())
		if _, err := f.dst.Write(data); err != nil {
			f.abort()
			return
		}
		f.pop(n)
	}
}

// first waits for a piece.
func (f *flow) first() (piece, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) == 0 && !f.broken {
		f.changed.Wait()
	}
	if f.broken {
		return piece{}, false
	}
	return f.queue[0], true
}

// due returns what the first n pieces hold, those that are due and follow each
// other in one chunk; one piece at least.
func (f *flow) due(now time.Time) (data []byte, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.queue[0]
	size := 0
	for n < len(f.queue) && f.queue[n].chunk == first.chunk && (n == 0 || !f.queue[n].due.After(now)) {
		size += len(f.queue[n].data)
		n++
	}
	return first.data[:size:size], n
}

// pop removes n pieces.
func (f *flow) pop(n int) {
	f.mu.Lock()
	c := f.queue[0].chunk
	for _, p := range f.queue[:n] {
		f.held -= len(p.data)
	}
	clear(f.queue[:n])
	f.queue = f.queue[n:]
	c.refs -= n
	unused := c.refs == 0
	f.changed.Signal()
	f.mu.Unlock()
	if unused {
		chunks.Put(c)
	}
}

// finish passes src's end on.
func (f *flow) finish(end error) {
	if cw, ok := f.dst.(interface{ CloseWrite() error }); ok && errors.Is(end, io.EOF) && cw.CloseWrite() == nil {
		return
	}
	f.abort()
}

// abort ends the connection at both ends.
func (f *flow) abort() {
	reset(f.src)
	reset(f.dst)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = true
	f.changed.Broadcast()
}
