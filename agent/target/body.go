package target

import (
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"share/tunnel/http1"
	"share/tunnel/nbio"
)

const (
	// chunkLine is the room for a chunk's size line before its data: a buffer
	// holds less than 16 MiB.
	chunkLine = len("ffffff\r\n")

	// largePiece is from where on a copy costs more than it saves.
	largePiece = 16 << 10

	// chunkEnd is the room behind the data: its line end and a last chunk
	// without trailers.
	chunkEnd = len("\r\n0\r\n\r\n")
)

// send writes the request's head and what there is of its body. The rest, if
// any, a second goroutine sends. A target that takes no more may have answered
// already: that is for receive to see.
func (f *flight) send() {
	f.t.pool.await(f.c)
	if _, err := f.c.Write(f.head); err != nil {
		f.refuse(err)
		return
	}
	f.t.pool.progress(f.c)
	if f.sent {
		return
	}
	f.carried = true
	c := f.c
	f.body.Go(func() { f.carry(c) }) // serve waits for it
}

// carry sends the rest of the request's body over c. If the visitor's half is
// cut, so is the connection: without its end the body cannot look whole.
func (f *flight) carry(c *conn) {
	buf := nbio.Buffer(nbio.Large)
	defer nbio.Free(buf)
	for {
		p, whole, err := f.next(*buf)
		if err != nil && err != io.EOF {
			c.sock.reset()
			return
		}
		if len(p) > 0 && !f.write(c, p) {
			f.written <- false
			return
		}
		if !whole {
			continue
		}
		f.written <- true
		if err == nil {
			// Only END can follow; c is no longer ours.
			_, _ = f.x.Data()
		}
		return
	}
}

// next returns the next bytes of the request's body as the target is to get
// them, in buf or valid until the next call. whole says that the body ends with
// them; err is io.EOF if x has said so too.
func (f *flight) next(buf []byte) (p []byte, whole bool, err error) {
	if f.req.ContentLength < 0 {
		p, err = f.nextChunk(buf)
		return p, err == io.EOF, err
	}
	p, err = f.x.Data()
	f.taken += int64(len(p))
	if err == nil && len(p) < largePiece && f.x.Buffered() {
		var n int
		k := copy(buf, p)
		n, err = f.collect(buf[k:])
		p = buf[:k+n]
	}
	return p, err == io.EOF || f.taken == f.req.ContentLength, err
}

// nextChunk is next for a body without a length.
func (f *flight) nextChunk(buf []byte) ([]byte, error) {
	n, err := f.collect(buf[chunkLine : len(buf)-chunkEnd])
	if err != nil && err != io.EOF {
		return nil, err
	}
	p := buf[chunkLine:chunkLine]
	if n > 0 {
		line := append(strconv.AppendInt(buf[:0:chunkLine], int64(n), 16), "\r\n"...)
		from := chunkLine - len(line)
		copy(buf[from:chunkLine], line)
		p = append(buf[from:chunkLine+n], "\r\n"...)
	}
	if err == io.EOF {
		p = http1.AppendLastChunk(p, f.trailers())
	}
	return p, err
}

// collect reads into buf what there is of the body, and waits for its first
// byte.
func (f *flight) collect(buf []byte) (n int, err error) {
	for {
		var k int
		k, err = f.x.Read(buf[n:])
		n += k
		f.taken += int64(k)
		if err != nil || n == len(buf) || f.taken == f.req.ContentLength || !f.x.Buffered() {
			return n, err
		}
	}
}

// requestSent reports whether the target has got the whole request. It gives
// the second goroutine a moment to end.
func (f *flight) requestSent() bool {
	if f.sent || !f.carried {
		return f.sent
	}
	select {
	case f.sent = <-f.written:
		return f.sent
	default:
	}
	// The visitor has the response meanwhile; a failure comes again.
	_ = f.x.Flush()
	timer := time.NewTimer(earlyGrace)
	defer timer.Stop()
	select {
	case f.sent = <-f.written:
	case <-timer.C:
	}
	return f.sent
}

// write writes p to c, from the second goroutine, and reports whether the target
// took it. If not, that is noted before anyone can ask.
func (f *flight) write(c *conn, p []byte) bool {
	for {
		f.writing <- struct{}{}
		n, err := c.Write(p)
		interrupted := errors.Is(err, os.ErrDeadlineExceeded) && c.tls == nil
		if err != nil && !interrupted {
			f.refuse(err)
		}
		<-f.writing
		if n > 0 {
			f.t.pool.progress(c)
		}
		if !interrupted {
			return err == nil
		}
		p = p[n:]
	}
}

// refuse notes that the target takes no more bytes.
func (f *flight) refuse(err error) {
	f.mu.Lock()
	f.sendErr = err
	f.mu.Unlock()
}

// refusal is why the target took no more of what was sent, nil if it did.
func (f *flight) refusal() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sendErr
}

// ended reports whether err, of a Read, is the end of all that the target meant
// to send. The system tells of a reset only once: if a Write has met it, a Read
// meets a plain end. So a Write under way is interrupted, to know its fate; TLS,
// whose end cannot be mistaken, would not survive that.
func (f *flight) ended(err error) bool {
	if !f.c.whole(err) || f.c.tls != nil {
		return f.c.whole(err)
	}
	// A closed connection takes no deadline, and no Write either.
	_ = f.c.SetWriteDeadline(past)
	f.writing <- struct{}{}
	refused := f.refusal() != nil
	_ = f.c.SetWriteDeadline(time.Time{})
	<-f.writing
	return !refused
}

// past is a deadline that interrupts whoever waits.
var past = time.Unix(1, 0)
