package nbio

import "sync"

// Sizes of the buffers that connections are read with. Most messages fit a
// Small one and every head a Large one; long bodies fill a Huge one.
const (
	Small = 4 << 10
	Large = 64 << 10
	Huge  = 256 << 10
)

var smallBuffers, largeBuffers, hugeBuffers = newPool(Small), newPool(Large), newPool(Huge)

func newPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, size); return &b }}
}

// Buffer returns a buffer of Small, Large or Huge bytes, whatever is in them.
func Buffer(size int) *[]byte { return pool(size).Get().(*[]byte) }

// Free takes back a buffer that Buffer or Fit returned.
func Free(b *[]byte) { pool(len(*b)).Put(b) }

// Fit returns the buffer for the next read of a body when the last one into b
// brought n bytes, which are done with: a larger one if they filled it, a small
// one if they would have fit that. If that is not b, b is taken back.
func Fit(b *[]byte, n int) *[]byte {
	size := len(*b)
	switch {
	case n == size:
		size = next(size)
	case n < Small:
		size = Small
	}
	if size == len(*b) {
		return b
	}
	Free(b)
	return Buffer(size)
}

// Grow returns the next larger buffer, which begins with what is in b, and takes
// b back; b itself if that is a Huge one.
func Grow(b *[]byte) *[]byte {
	size := next(len(*b))
	if size == len(*b) {
		return b
	}
	larger := Buffer(size)
	copy(*larger, *b)
	Free(b)
	return larger
}

// next is the size above size.
func next(size int) int {
	if size == Small {
		return Large
	}
	return Huge
}

func pool(size int) *sync.Pool {
	switch size {
	case Small:
		return smallBuffers
	case Large:
		return largeBuffers
	case Huge:
		return hugeBuffers
	}
	panic("nbio: no such buffer")
}
