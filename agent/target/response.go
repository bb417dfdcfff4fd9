package target

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

// maxInterim bounds the 1xx responses before a final one. Servers send one or
// two; without a bound they could go on for ever.
const maxInterim = 64

var errInterim = fmt.Errorf("more than %d interim responses", maxInterim)

// receive reads up to the final response's head, into f.resp. Interim responses
// are passed on as they come.
func (f *flight) receive() *tunnel.Failure {
	for interim, seen := 0, 0; ; {
		n, err := http1.ResponseHead(f.buf[f.r:f.w], seen)
		if err != nil {
			f.unanswered(f.buf[f.r:f.w])
			return f.t.own(err)
		}
		if n == 0 {
			seen = f.w - f.r
			if err := f.more(); err != nil {
				return f.noHead(err, interim > 0 || seen > 0)
			}
			continue
		}
		head := f.buf[f.r : f.r+n]
		f.r, seen = f.r+n, 0
		if err := f.resp.Parse(head, f.req.Method); err != nil {
			f.unanswered(head)
			return f.t.own(err)
		}
		if !f.resp.Interim() {
			if !f.t.pool.arrived(f.c) {
				return f.overdue()
			}
			return nil
		}
		if interim++; interim > maxInterim {
			return f.t.fail(tunnel.TargetBadResponse, errInterim)
		}
		if err := f.sendHead(0); err != nil {
			return tunnel.AsFailure(err)
		}
	}
}

// noHead says why no response head came; some is whether a part of one did.
func (f *flight) noHead(err error, some bool) *tunnel.Failure {
	if gone := f.x.Err(); gone != nil {
		return tunnel.AsFailure(gone)
	}
	if f.c.waiting.Load() == overdue {
		return f.overdue()
	}
	f.unanswered(f.buf[f.r:f.w])
	cause := readCause(err, some)
	err = f.c.endRead(err)
	if cause == tunnel.TargetClosed && f.c.reused && !f.repeatable() {
		err = fmt.Errorf("%w; the request may have arrived and is not sent again", err)
	}
	return f.t.fail(cause, err)
}

func (f *flight) overdue() *tunnel.Failure {
	return f.t.fail(tunnel.TargetTimeout, fmt.Errorf("no response head within %v", f.t.pool.headerTimeout))
}

// more reads bytes of a head behind those unread, and makes room for them.
func (f *flight) more() error {
	if f.w == len(f.buf) {
		if f.r == 0 {
			f.grow()
		} else {
			f.w = copy(f.buf, f.buf[f.r:f.w])
			f.r = 0
		}
	}
	n, err := f.c.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// grow moves what is unread to a bigger buffer.
func (f *flight) grow() {
	if f.big == nil {
		f.big = nbio.Buffer(nbio.Large)
		copy(*f.big, f.small[:])
	} else {
		f.big = nbio.Grow(f.big)
	}
	f.buf = *f.big
}

// shrink goes back to the small buffer, where nothing is unread.
func (f *flight) shrink() {
	if f.big != nil {
		nbio.Free(f.big)
		f.big, f.buf = nil, f.small[:]
	}
}

// sendHead passes the head in f.resp on, less what ends here and what is
// share's. A final one goes out with the first bytes that are flushed.
func (f *flight) sendHead(flags tunnel.ResponseFlags) error {
	f.fields = scrub(f.resp.Forward(f.fields[:0]))
	if f.resp.Status < 200 || f.resp.Status == 204 {
		// RFC 9110 8.6: none may stand here, and some clients wait for the body.
		f.fields = without(f.fields, "content-length")
	}
	if f.resp.Status >= 200 || flags&tunnel.ResponseUpgrade != 0 {
		f.fields = appendTiming(f.fields, f.asked)
	}
	f.out = tunnel.Response{
		Status:        f.resp.Status,
		Reason:        f.resp.Reason,
		Flags:         flags,
		ContentLength: f.resp.ContentLength,
		Header:        f.fields,
	}
	return f.x.SendResponse(&f.out)
}

// respond carries the final response, whose head is in f.resp, to the visitor.
func (f *flight) respond() *tunnel.Failure {
	if err := f.sendHead(0); err != nil {
		return tunnel.AsFailure(err)
	}
	f.status = f.resp.Status
	f.c.keep = keepTime(&f.resp) // now: the body takes the head's place
	f.c.sock.onWait = f.flushFn
	failure := f.relay()
	f.c.sock.onWait = nil
	if failure != nil {
		return failure
	}
	return f.finish()
}

// relay carries the response's body, until it is whole.
func (f *flight) relay() *tunnel.Failure {
	f.chunks.Reset(true)
	length, passed := f.resp.ContentLength, int64(0)
	for {
		for f.r < f.w || passed == length {
			p, n, err := f.buf[f.r:f.w], f.w-f.r, error(nil)
			switch {
			case f.resp.Chunked:
				p, n, err = f.chunks.Next(p)
			case passed == length:
				return nil
			case length >= 0 && int64(n) > length-passed:
				n = int(length - passed)
				p = p[:n]
			}
			f.r += n
			passed += int64(len(p))
			if len(p) > 0 {
				if f.search.suspicion != suspectNothing {
					f.search.body(p)
				}
				if _, err := f.x.Write(p); err != nil {
					return tunnel.AsFailure(err)
				}
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return f.t.own(err)
			}
		}
		if err := f.fill(); err != nil {
			if f.resp.CloseDelimited && f.ended(err) {
				return nil
			}
			return f.cut(err, passed)
		}
	}
}

// fill reads the next bytes of a body, all earlier ones having been passed on.
// Bodies that fill the buffer get a bigger one.
func (f *flight) fill() error {
	switch {
	case f.w == len(f.buf):
		f.grow()
	case f.w < nbio.Small:
		f.shrink()
	}
	f.r = 0
	n, err := f.c.Read(f.buf)
	f.w = n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// cut says why a body ended before it was whole.
func (f *flight) cut(err error, passed int64) *tunnel.Failure {
	if gone := f.x.Err(); gone != nil {
		return tunnel.AsFailure(gone)
	}
	if refused := f.refusal(); refused != nil && err == io.EOF {
		err = errUnsent
	} else {
		err = f.c.endRead(err)
	}
	of := ""
	if f.resp.ContentLength >= 0 {
		of = " of " + strconv.FormatInt(f.resp.ContentLength, 10)
	}
	return f.t.fail(tunnel.TargetIncomplete, fmt.Errorf("body cut after %d%s bytes: %w", passed, of, err))
}

// finish ends the exchange after a whole response, and puts the connection back
// if it is of further use.
func (f *flight) finish() *tunnel.Failure {
	f.search.end()
	whole := f.requestSent()
	c, reusable := f.c, f.r == f.w && !f.resp.Close
	reusable = f.detach() && reusable
	f.c = nil
	switch {
	case !whole:
		f.t.pool.drop(c)
		c.sock.reset()
		if err := f.x.Stop(); err != nil {
			return tunnel.AsFailure(err)
		}
	case !reusable || c.keep <= 0:
		f.t.pool.drop(c)
		c.Close()
	case !f.t.pool.put(c):
		c.Close()
	}
	var trailers tunnel.Header
	if f.resp.Chunked {
		trailers = scrub(f.resp.ForwardTrailers(f.fields[:0], f.chunks.Trailers()))
	}
	if err := f.x.End(trailers); err != nil {
		return tunnel.AsFailure(err)
	}
	if whole && !f.carried && f.req.ContentLength > 0 {
		// The END behind the last byte, so that the stream is used again.
		if _, err := f.x.Data(); err != nil && !errors.Is(err, io.EOF) {
			return tunnel.AsFailure(err)
		}
	}
	return nil
}

// keepTime is how long the connection may be idle after a response: less than
// the server says, if it says so.
func keepTime(r *http1.Response) time.Duration {
	v := r.Fields.Get("keep-alive")
	if v == nil {
		return keepIdle
	}
	return min(keepIdle, keepAliveTimeout(v)-time.Second)
}

// keepAliveTimeout reads timeout=N from a Keep-Alive field (RFC 2068 19.7.1.1);
// an hour if there is none.
func keepAliveTimeout(v []byte) time.Duration {
	const name = "timeout="
	for i := 0; i+len(name) <= len(v); i++ {
		if !tunnel.HasPrefixFold(v[i:], name) {
			continue
		}
		n := 0
		for _, c := range v[i+len(name):] {
			if c < '0' || c > '9' || n > 3600 {
				break
			}
			n = n*10 + int(c-'0')
		}
		return time.Duration(min(n, 3600)) * time.Second
	}
	return time.Hour
}
