package delay

import (
	"context"
	"sync"
	"time"
)

const (
	// unbounded is the queue, in bytes, of a connection without a rate: more
	// than any protocol keeps under way.
	unbounded = 256 << 20

	// largest and least bound what is read at once: with a rate it is what a
	// millisecond carries, so that connections take turns as packets would.
	largest = 256 << 10
	least   = 1460

	// leastKernel is the smallest receive buffer that lets loopback flow.
	leastKernel = 16 << 10
)

// A wire is one way of a line, which all connections share.
type wire struct {
	oneWay time.Duration
	rate   int64         // bytes a second; 0 is no bound
	queue  time.Duration // how long a byte may wait for those before it
	kernel int           // bytes of the queue that the kernel keeps for a connection; 0 is its default
	chunk  int           // bytes read at once

	mu   sync.Mutex
	free time.Time // when all that has come will be on its way; guarded by mu
}

func newWire(cfg *Config) *wire {
	w := &wire{oneWay: cfg.OneWay, rate: cfg.Rate / 8, chunk: largest}
	if w.rate > 0 {
		w.chunk = int(min(largest, max(least, w.rate/1000)))
		trip := int(w.rate * int64(cfg.roundTrip()) / int64(time.Second))
		w.kernel = min(max(trip/4, leastKernel), largest)
		w.queue = max(w.lasts(trip-w.kernel), w.lasts(2*w.chunk))
	}
	return w
}

// lasts is how long n bytes take to be put on the wire.
func (w *wire) lasts(n int) time.Duration {
	return time.Duration(int64(n) * int64(time.Second) / w.rate)
}

// send says when n bytes that come now will have arrived, and when the queue
// takes more of whoever sent them.
func (w *wire) send(now time.Time, n int) (arrived, next time.Time) {
	if w.rate == 0 {
		return now.Add(w.oneWay), now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(w.lasts(n))
	return w.free.Add(w.oneWay), w.free.Add(-w.queue)
}

// closing is a context that ends when done is closed.
type closing chan struct{}

func (c closing) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c closing) Done() <-chan struct{}       { return c }
func (c closing) Value(any) any               { return nil }

func (c closing) Err() error {
	select {
	case <-c:
		return context.Canceled
	default:
		return nil
	}
}
