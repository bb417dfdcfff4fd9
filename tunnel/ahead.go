package tunnel

import (
	"sync"

	"github.com/hashicorp/yamux"

	"share/tunnel/nbio"
)

// aheadFrom is the window from which on an exchange is read ahead.
const aheadFrom = 4 << 20

// An ahead reads a stream as fast as it brings bytes, and holds them until they
// are asked for, as many as the window allows. The multiplexer would hold them,
// too, but in one buffer that is allocated anew, and copied, whenever it grows:
// with tens of megabytes on their way that, and the collector's signals
// meanwhile, stop the whole link for a second and more.
type ahead struct {
	stream *yamux.Stream
	done   chan struct{} // closed when the stream is read no more

	mu      sync.Mutex
	changed sync.Cond
	queue   []piece // guarded by mu; the last may be filled further
	stopped bool    // guarded by mu
	err     error   // guarded by mu; what the stream brings behind the queue
}

// A piece is a buffer with unread bytes [r:w).
type piece struct {
	buf  *[]byte
	r, w int
}

// newAhead returns an ahead that is yet to run.
func newAhead(stream *yamux.Stream) *ahead {
	a := &ahead{stream: stream, done: make(chan struct{})}
	a.changed.L = &a.mu
	return a
}

// run reads the stream until it ends or stop is called.
func (a *ahead) run() {
	defer close(a.done)
	for into := a.room(); into != nil; into = a.room() {
		n, err := a.stream.Read(into)
		a.add(n, err)
	}
}

// room returns where the next bytes belong, nil if there shall be none.
func (a *ahead) room() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.err != nil {
		return nil
	}
	if last := len(a.queue) - 1; last >= 0 && a.queue[last].w < nbio.Huge {
		return (*a.queue[last].buf)[a.queue[last].w:]
	}
	p := piece{buf: nbio.Buffer(nbio.Huge)}
	a.queue = append(a.queue, p)
	return *p.buf
}

// add notes what the stream brought. An error beside bytes says that the
// multiplexer could not let the peer send more; there may be bytes behind them.
func (a *ahead) add(n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue[len(a.queue)-1].w += n
	if n == 0 {
		a.err = err
	}
	a.changed.Signal()
}

// Read reads what the stream has brought, and waits while that is nothing.
func (a *ahead) Read(p []byte) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.readable() && a.err == nil {
		a.changed.Wait()
	}
	for n < len(p) && a.readable() {
		first := &a.queue[0]
		k := copy(p[n:], (*first.buf)[first.r:first.w])
		n += k
		first.r += k
		if first.r == nbio.Huge {
			nbio.Free(first.buf)
			a.queue[0] = piece{}
			a.queue = a.queue[1:]
		}
	}
	if n == 0 {
		err = a.err
	}
	return n, err
}

// readable reports whether anything waits; mu is held.
func (a *ahead) readable() bool { return len(a.queue) > 0 && a.queue[0].r < a.queue[0].w }

// stop ends reading the stream, and returns how many bytes nobody has read. It
// waits for run.
func (a *ahead) stop() (unread int) {
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	_ = a.stream.SetReadDeadline(past) // which cannot fail
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.queue {
		unread += p.w - p.r
		nbio.Free(p.buf)
	}
	a.queue = nil
	return unread
}
