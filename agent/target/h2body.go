package target

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
)

// An h2Body is a request's body as net/http reads it. Its bytes come through a
// pipe: net/http gives a Read up, by Close, when the target gives the stream up,
// and the exchange may have nothing to read for long. The exchange must not be
// used once its handler has returned: end waits for that.
type h2Body struct {
	x       *tunnel.Exchange
	trailer http.Header // filled in at the end
	pipe    *io.PipeReader
	pump    sync.WaitGroup // the goroutine that fills pipe
	eof     chan struct{}  // closed when the body was read to its end
	once    sync.Once      // guards closing eof
	made    time.Time
	last    atomic.Int64 // since made, when the last Read began that the target's window let through
	closed  atomic.Bool
}

func newH2Body(x *tunnel.Exchange) *h2Body {
	r, w := io.Pipe()
	b := &h2Body{x: x, pipe: r, eof: make(chan struct{}), made: time.Now()}
	b.pump.Go(func() { // end waits for it
		for {
			p, err := x.Data()
			if err == nil {
				_, err = w.Write(p)
			}
			if err != nil {
				w.CloseWithError(err)
				return
			}
		}
	})
	return b
}

// Read fails if the visitor's half was cut; net/http then resets the stream.
func (b *h2Body) Read(p []byte) (int, error) {
	b.last.Store(int64(time.Since(b.made)))
	n, err := b.pipe.Read(p)
	if err == io.EOF {
		b.once.Do(func() {
			b.fillTrailer()
			close(b.eof)
		})
	}
	return n, err
}

// fillTrailer gives the trailers that were announced to net/http.
func (b *h2Body) fillTrailer() {
	for _, f := range b.x.Trailers() {
		name := http.CanonicalHeaderKey(string(f.Name))
		if _, ok := b.trailer[name]; ok {
			b.trailer[name] = append(b.trailer[name], string(f.Value))
		}
	}
}

// Close allows no further Read and ends the one under way.
func (b *h2Body) Close() error {
	b.closed.Store(true)
	return b.pipe.CloseWithError(http.ErrBodyReadAfterClose)
}

// end is Close, and waits until the exchange is not read any more: its failure,
// or the relay's end of it, is to come.
func (b *h2Body) end() {
	b.Close()
	b.pump.Wait()
}

// taken is when the target last took bytes, but not before began, whatever the
// time of day has become meanwhile.
func (b *h2Body) taken(began time.Time) time.Time {
	if t := b.made.Add(time.Duration(b.last.Load())); t.After(began) {
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
