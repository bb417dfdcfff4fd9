package meter

import (
	"math"
	"sync/atomic"
	"time"
)

// bounds are the upper ends of a Histogram's buckets. Another takes what is
// above them.
var bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, 60 * time.Second, 120 * time.Second, 300 * time.Second,
}

// A Histogram counts times by how long they are.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	nanos   atomic.Uint64 // all times together: 584 years
}

func (h *Histogram) observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(uint64(d))
}

// A Bucket is how many times are no longer than a bound.
type Bucket struct {
	Bound float64 // in seconds; the last is infinite
	Count uint64
}

// Read returns the buckets, and the sum of all times in seconds. Times that are
// counted meanwhile may be missing in one and not in another.
func (h *Histogram) Read() (buckets []Bucket, sum float64) {
	sum = time.Duration(h.nanos.Load()).Seconds()
	buckets = make([]Bucket, len(h.buckets))
	count := uint64(0)
	for i := range h.buckets {
		count += h.buckets[i].Load()
		buckets[i] = Bucket{math.Inf(1), count}
		if i < len(bounds) {
			buckets[i].Bound = bounds[i].Seconds()
		}
	}
	return buckets, sum
}

// Count is how many times there are.
func (h *Histogram) Count() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}
