package target

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"share/tunnel"
)

// An h2Body is a request's body as net/http reads it. The exchange must not be
// used once its handler has returned, but net/http may read on: end waits for
// the last Read and allows no other.
type h2Body struct {
	x       *tunnel.Exchange
	trailer http.Header   // filled in at the end
	turn    chan struct{} // holds one while a Read is under way
	eof     chan struct{} // closed when the body was read to its end
	last    atomic.Int64  // UnixNano of the last Read that the target's window let through
	closed  atomic.Bool
}

func newH2Body(x *tunnel.Exchange) *h2Body {
	return &h2Body{x: x, turn: make(chan struct{}, 1), eof: make(chan struct{})}
}

// Read fails if the visitor's half was cut; net/http then resets the stream.
func (b *h2Body) Read(p []byte) (int, error) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	select {
	case <-b.eof:
		return 0, io.EOF
	default:
	}
	b.last.Store(time.Now().UnixNano())
	n, err := b.x.Read(p)
	if err == io.EOF {
		for _, f := range b.x.Trailers() {
			name := http.CanonicalHeaderKey(string(f.Name))
			if _, ok := b.trailer[name]; ok {
				b.trailer[name] = append(b.trailer[name], string(f.Value))
			}
		}
		close(b.eof)
	}
	return n, err
}

// Close allows no further Read.
func (b *h2Body) Close() error {
	b.closed.Store(true)
	return nil
}

// end waits for the last Read.
func (b *h2Body) end() {
	b.closed.Store(true)
	b.turn <- struct{}{}
	<-b.turn
}

// taken is when the target last took bytes, but not before began.
func (b *h2Body) taken(began time.Time) time.Time {
	if t := time.Unix(0, b.last.Load()); t.After(began) {
		return t
	}
	return began
}

// whole reports whether the body was read to its end, or is about to.
func (b *h2Body) whole() bool {
	select {
	case <-b.eof:
		return true
	default:
	}
	if b.closed.Load() {
		return false
	}
	timer := time.NewTimer(earlyGrace)
	defer timer.Stop()
	select {
	case <-b.eof:
		return true
	case <-timer.C:
		return false
	}
}
