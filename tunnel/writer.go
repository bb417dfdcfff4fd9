package tunnel

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/yamux"
)

// outBuffer is what a writer gathers before it sends.
const outBuffer = minChunk

var outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, outBuffer); return &b }}

// A writer is this side's half of an exchange.
type writer struct {
	x *Exchange

	granted atomic.Int64  // bytes of body that the peer's window allows; set under x.mu, as seq is
	room    chan struct{} // told when it may allow more, or the exchange fails; holds one

	mu       sync.Mutex
	buf      *[]byte // guarded by mu; nil while nothing is queued
	ended    bool    // guarded by mu
	begun    bool    // guarded by mu; a final head was queued
	headAt   int     // guarded by mu; where it begins in buf, -1 if it was sent
	sent     int64   // guarded by mu; bytes of body
	announce int64   // guarded by mu; of them, announced; -1 if not
}

func (out *writer) reset() {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.ended, out.begun = false, false
	out.headAt, out.sent, out.announce = -1, 0, -1
}

// release gives the buffer back; what was queued is gone.
func (out *writer) release() {
	out.mu.Lock()
	defer out.mu.Unlock()
	out.free()
}

// free returns the buffer to the pool; mu is held.
func (out *writer) free() {
	if out.buf != nil && cap(*out.buf) <= 2*outBuffer {
		*out.buf = (*out.buf)[:0]
		outBuffers.Put(out.buf)
	}
	out.buf = nil
}

// queue returns the buffer to append to; mu is held.
func (out *writer) queue() []byte {
	if out.buf == nil {
		out.buf = outBuffers.Get().(*[]byte)
	}
	return *out.buf
}

func (out *writer) request(r *Request) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if f := out.x.failed(); f != nil {
		return f
	}
	if out.begun {
		return &Failure{Cause: Internal, Detail: "a second request"}
	}
	b := out.queue()
	*out.buf = appendRequest(b, out.x.seq, r)
	out.begun = true
	out.announce = r.ContentLength
	if r.Flags&RequestUpgrade != 0 {
		out.announce = -1
	}
	return nil
}

func (out *writer) response(r *Response) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if f := out.x.failed(); f != nil {
		return f
	}
	if r.Interim() {
		if out.begun {
			return &Failure{Cause: Internal, Detail: "an interim response behind the final one"}
		}
		b := out.queue()
		*out.buf = appendResponse(b, r)
		return out.send()
	}
	if out.begun {
		if out.headAt < 0 {
			return &Failure{Cause: Internal, Detail: "a second response"}
		}
		*out.buf = (*out.buf)[:out.headAt]
	}
	b := out.queue()
	out.begun, out.headAt, out.sent = true, len(b), 0
	*out.buf = appendResponse(b, r)
	out.announce = r.ContentLength
	if r.Flags&ResponseUpgrade != 0 {
		out.announce = -1
		out.x.upgraded.Store(true)
		return out.send()
	}
	return nil
}

func (out *writer) done() bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.ended
}

func (out *writer) headGone() bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.begun && out.headAt < 0
}

func (out *writer) write(p []byte) (int, error) {
	out.mu.Lock()
	defer out.mu.Unlock()
	total := len(p)
	for len(p) > 0 {
		if err := out.writable(); err != nil {
			return total - len(p), err
		}
		n, err := out.take(p)
		p = p[n:]
		if err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// take queues the beginning of p, or sends it behind what is queued if it is
// large: then it is not copied. mu is held.
func (out *writer) take(p []byte) (int, error) {
	free := out.granted.Load() - out.sent
	if free <= 0 {
		return 0, out.await()
	}
	b := out.queue()
	n := int(min(int64(len(p)), int64(out.x.lane.link.chunk.Load()), free))
	large := n >= largePiece
	if room := outBuffer - frameHeaderLen - len(b); !large && room < n {
		if room < outBuffer/4 {
			return 0, out.send()
		}
		n = room
	}
	b = append(b, typeData, byte(n>>16), byte(n>>8), byte(n))
	if large {
		*out.buf = b
		if err := out.send(); err != nil {
			return 0, err
		}
		if _, err := out.x.stream.Write(p[:n]); err != nil {
			return 0, out.x.streamError(err)
		}
		out.x.count(n)
	} else {
		*out.buf = append(b, p[:n]...)
	}
	out.sent += int64(n)
	if out.sent > bulkAfter {
		out.x.bulkNow()
	}
	return n, nil
}

// await sends what is queued, and then waits for the peer's window or for a
// reason to write no more. mu is held.
func (out *writer) await() error {
	if err := out.send(); err != nil {
		return err
	}
	if out.granted.Load() > out.sent || out.writable() != nil {
		return nil
	}
	select {
	case <-out.room:
		return nil
	case <-out.x.lane.mux.CloseChan():
		return out.x.streamError(yamux.ErrSessionShutdown)
	}
}

// grant is the peer's CREDIT. It reports whether that allows more; x.mu is held.
func (out *writer) grant(bytes int64) bool {
	more := bytes > out.granted.Load()
	if more {
		out.granted.Store(bytes)
	}
	return more
}

// wake lets await look again.
func (out *writer) wake() {
	select {
	case out.room <- struct{}{}:
	default:
	}
}

// writable reports why no more body can be written; mu is held.
func (out *writer) writable() error {
	if f := out.x.failed(); f != nil {
		return f
	}
	if out.x.stopped.Load() && !out.x.lane.session.agent {
		return Fail(VisitorIncomplete, ErrStopped)
	}
	if out.ended {
		return &Failure{Cause: Internal, Detail: "the body has ended"}
	}
	return nil
}

func (out *writer) flush() error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if f := out.x.failed(); f != nil {
		return f
	}
	return out.send()
}

func (out *writer) end(trailers Header) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if err := out.writable(); err != nil {
		return err
	}
	if out.announce >= 0 && out.sent != out.announce {
		return &Failure{Cause: Internal, Detail: "body differs from its length"}
	}
	if f := out.x.conclude(); f != nil {
		return f
	}
	b := out.queue()
	if out.x.unread() {
		// Before END: the relay must not use the stream again while
		// the rest of the body may be under way.
		out.x.stopped.Store(true)
		b = append(b, typeStop, 0, 0, 0)
	}
	if len(trailers) > 0 {
		b = appendTrailers(b, trailers)
	} else {
		b = append(b, typeData|frameEnd, 0, 0, 0)
	}
	*out.buf = b
	if err := out.send(); err != nil {
		return err
	}
	out.ended = true
	return nil
}

func (out *writer) stop() error {
	out.mu.Lock()
	defer out.mu.Unlock()
	if f := out.x.failed(); f != nil {
		return f
	}
	if out.ended || out.x.stopped.Swap(true) {
		return nil
	}
	b := out.queue()
	*out.buf = append(b, typeStop, 0, 0, 0)
	return out.send()
}

// fail tells the relay of a failure by an ERROR behind what was written; false
// if it must be told by RESET: another goroutine is writing and may be stuck,
// the window is full, or this half of a byte stream has ended.
func (out *writer) fail(f *Failure) bool {
	if !out.mu.TryLock() {
		return false
	}
	defer out.mu.Unlock()
	if out.ended {
		return false
	}
	wire := *f
	wire.AfterHead = out.begun
	b := out.queue()
	*out.buf = appendError(b, &wire)
	// A stream's deadlines cannot fail to be set.
	_ = out.x.stream.SetWriteDeadline(past)
	return out.transmit() == nil
}

// send writes what is queued; mu is held.
func (out *writer) send() error {
	if err := out.transmit(); err != nil {
		return out.x.streamError(err)
	}
	return nil
}

func (out *writer) transmit() error {
	if out.buf == nil {
		return nil
	}
	b := *out.buf
	if len(b) > 0 {
		out.headAt = -1
	}
	for len(b) > 0 {
		n, err := out.x.stream.Write(b[:min(len(b), minChunk)])
		out.x.count(n)
		if err != nil {
			out.free()
			return err
		}
		b = b[n:]
	}
	out.free()
	return nil
}
