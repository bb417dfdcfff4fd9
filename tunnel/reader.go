package tunnel

import (
	"io"
	"sync/atomic"
	"time"

	"share/tunnel/nbio"
)

// keepFields is how many fields an exchange has room for while it is idle.
const keepFields = 128

// A reader is the peer's half of an exchange.
type reader struct {
	x    *Exchange
	buf  *[]byte // nil while the exchange is parked
	r, w int     // unread bytes are (*buf)[r:w]

	ahead   *ahead // reads the stream once the window is large, else nil
	drained bool   // the last read brought all that there was

	head     []byte // payload of the last head
	side     []byte // payload of the last other frame
	request  Request
	response Response
	window   window
	fields   Header // storage of trailers
	trailers Header

	begun    bool        // the final head has come
	ended    atomic.Bool // all of the half was read
	last     bool        // the frame under way bears END
	remain   int         // bytes of the DATA frame under way
	received int64       // bytes of body
	expect   int64       // of them, announced; -1 if not
}

func (in *reader) reset() {
	in.begun, in.last = false, false
	in.ended.Store(false)
	in.window.reset()
	in.remain, in.received, in.expect = 0, 0, -1
	in.trailers = nil
	in.trim()
	if in.buf != nil && len(*in.buf) > nbio.Small && in.empty() {
		in.release()
	}
}

// trim gives up what an unusually large head took: the next will be smaller.
func (in *reader) trim() {
	if cap(in.head) > nbio.Small {
		in.head = nil
	}
	if cap(in.side) > nbio.Small {
		in.side = nil
	}
	for _, h := range []*Header{&in.request.Header, &in.response.Header, &in.fields} {
		if cap(*h) > keepFields {
			*h = nil
		}
	}
}

// empty reports whether nothing is left unread.
func (in *reader) empty() bool { return in.r == in.w }

// release gives the buffer back.
func (in *reader) release() {
	if in.buf == nil {
		return
	}
	nbio.Free(in.buf)
	in.buf = nil
	in.r, in.w = 0, 0
}

// fill reads more from the stream behind what is unread.
func (in *reader) fill() error {
	if in.buf == nil {
		in.buf = nbio.Buffer(nbio.Small)
	}
	if in.empty() {
		if in.received > bulkAfter/4 {
			in.buf = nbio.Fit(in.buf, in.w)
		}
		in.r, in.w = 0, 0
	} else if in.w == len(*in.buf) {
		in.w = copy(*in.buf, (*in.buf)[in.r:in.w])
		in.r = 0
	}
	if in.ahead == nil && in.window.size >= aheadFrom {
		in.readAhead()
	}
	n, err := in.receive((*in.buf)[in.w:])
	in.w += n
	in.x.count(n)
	in.x.lane.consumed.Add(int64(n))
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return in.x.streamError(err)
}

// receive reads from the stream, and notes for how long it waited once the
// window may grow again: where the last read left nothing behind.
func (in *reader) receive(p []byte) (n int, err error) {
	var from io.Reader = in.x.stream
	if in.ahead != nil {
		from = in.ahead
	}
	if in.drained && !in.window.since.IsZero() {
		began := time.Now()
		n, err = from.Read(p)
		in.window.waited += time.Since(began)
	} else {
		n, err = from.Read(p)
	}
	in.drained = n < len(p)
	return n, err
}

// readAhead has the stream read as fast as it brings bytes, from now on.
func (in *reader) readAhead() {
	a := newAhead(in.x.stream)
	if in.x.lane.spawn(a.run) {
		in.ahead = a
	}
}

// next reads a frame's header.
func (in *reader) next() (typ byte, n int, err error) {
	for in.w-in.r < frameHeaderLen {
		if err := in.fill(); err != nil {
			return 0, 0, err
		}
	}
	h := (*in.buf)[in.r:]
	in.r += frameHeaderLen
	return h[0], int(h[1])<<16 | int(h[2])<<8 | int(h[3]), nil
}

// payload reads n bytes, maxHead at most, in place of what b holds.
func (in *reader) payload(b []byte, n int) ([]byte, error) {
	if n > maxHead {
		return nil, in.x.violation("frame of %d bytes exceeds %d", n, maxHead)
	}
	b = b[:0]
	for n > 0 {
		if in.empty() {
			if err := in.fill(); err != nil {
				return nil, err
			}
		}
		k := min(n, in.w-in.r)
		b = append(b, (*in.buf)[in.r:in.r+k]...)
		in.r += k
		n -= k
	}
	return b, nil
}

// receiveRequest waits for the next REQ of a stream.
func (in *reader) receiveRequest() error {
	typ, n, err := in.next()
	for ; err == nil && typ&frameType != typeRequest; typ, n, err = in.next() {
		switch typ & frameType {
		case typeResponse, typeInterim, typeData, typeTrailers:
			return in.x.violation("frame of type %d before REQ", typ&frameType)
		}
		if err := in.aside(typ, n); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if in.head, err = in.payload(in.head, n); err != nil {
		return err
	}
	seq, err := decodeRequest(in.head, &in.request)
	if err != nil {
		return in.x.violation("%v", err)
	}
	in.x.mu.Lock()
	in.x.renumber(seq)
	early := in.x.early
	in.x.mu.Unlock()
	in.begun = true
	in.expect = in.request.ContentLength
	if in.request.Flags&RequestUpgrade != 0 {
		in.expect = -1
	}
	in.last = typ&frameEnd != 0
	if early.failure != nil && early.seq == seq {
		in.x.resetBy(early)
		return in.x.failed()
	}
	return nil
}

// receiveResponse waits for the next INFO or RESP.
func (in *reader) receiveResponse() (*Response, error) {
	for {
		typ, n, err := in.next()
		if err != nil {
			return nil, err
		}
		switch typ & frameType {
		case typeResponse, typeInterim:
			if in.begun {
				return nil, in.x.violation("a second RESP")
			}
			if in.head, err = in.payload(in.head, n); err != nil {
				return nil, err
			}
			interim := typ&frameType == typeInterim
			if err := decodeResponse(in.head, interim, &in.response); err != nil {
				return nil, in.x.violation("%v", err)
			}
			if !interim {
				in.begun = true
				in.last = typ&frameEnd != 0
				in.expect = in.response.ContentLength
				if in.response.Flags&ResponseUpgrade != 0 {
					in.expect = -1
					in.x.upgraded.Store(true)
				}
			}
			return &in.response, nil
		case typeData, typeTrailers:
			return nil, in.x.violation("frame of type %d before RESP", typ&frameType)
		default:
			if err := in.aside(typ, n); err != nil {
				return nil, err
			}
		}
	}
}

// aside handles the frames that may come at any time.
func (in *reader) aside(typ byte, n int) error {
	var err error
	if in.side, err = in.payload(in.side, n); err != nil {
		return err
	}
	switch typ & frameType {
	case typeError:
		f, err := decodeError(in.side)
		if err != nil {
			return in.x.violation("%v", err)
		}
		if f.Cause != Draining { // which the relay answers for
			f.By = Agent
		}
		in.x.set(f)
		in.x.wake() // a writer that waits
		return in.x.failed()
	case typeStop:
		if !in.x.lane.session.agent {
			in.x.stopBy()
			return nil
		}
	}
	if typ&frameIgnore != 0 {
		return nil
	}
	return in.x.violation("frame of unknown type %d", typ&frameType)
}

// data returns the next bytes of the body.
func (in *reader) data() ([]byte, error) {
	for {
		if in.remain > 0 {
			if in.empty() {
				if err := in.fill(); err != nil {
					return nil, err
				}
			}
			n := min(in.remain, in.w-in.r)
			p := (*in.buf)[in.r : in.r+n]
			in.r += n
			in.remain -= n
			in.received += int64(n)
			if in.expect >= 0 && in.received > in.expect {
				return nil, in.x.violation("%d bytes of body where %d were announced", in.received, in.expect)
			}
			if in.received >= in.window.due && !in.last {
				in.window.credit(in.received, in.expect)
			}
			if in.received > bulkAfter {
				in.x.bulkNow()
			}
			return p, nil
		}
		if in.ended.Load() {
			return nil, io.EOF
		}
		if in.last {
			if in.expect >= 0 && in.received != in.expect {
				return nil, in.x.violation("%d bytes of body where %d were announced", in.received, in.expect)
			}
			in.ended.Store(true)
			return nil, io.EOF
		}
		if err := in.frame(); err != nil {
			return nil, err
		}
	}
}

// frame begins the next frame of a body.
func (in *reader) frame() error {
	typ, n, err := in.next()
	if err != nil {
		return err
	}
	switch typ & frameType {
	case typeData:
		if in.received+int64(n) > in.window.granted {
			return in.x.violation("%d bytes of body where the window allows %d", in.received+int64(n), in.window.granted)
		}
		in.remain = n
		in.last = typ&frameEnd != 0
		return nil
	case typeTrailers:
		if typ&frameEnd == 0 {
			return in.x.violation("TRAILERS without END")
		}
		if in.side, err = in.payload(in.side, n); err != nil {
			return err
		}
		in.fields, err = decodeTrailers(in.side, in.fields)
		if err != nil {
			return in.x.violation("%v", err)
		}
		in.trailers = in.fields
		in.last = true
		return nil
	case typeRequest, typeResponse, typeInterim:
		return in.x.violation("frame of type %d inside a body", typ&frameType)
	}
	return in.aside(typ, n)
}

func (in *reader) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if in.remain == 0 || in.empty() {
		b, err := in.data()
		if err != nil {
			return 0, err
		}
		// Put them back: they are still in the buffer.
		in.r -= len(b)
		in.remain += len(b)
		in.received -= int64(len(b))
	}
	n := min(len(p), in.remain, in.w-in.r)
	copy(p, (*in.buf)[in.r:in.r+n])
	in.r += n
	in.remain -= n
	in.received += int64(n)
	return n, nil
}

// buffered reports whether data would return at once.
func (in *reader) buffered() bool {
	if in.ended.Load() || in.last && in.remain == 0 {
		return true
	}
	unread := in.w - in.r
	if in.remain > 0 {
		return unread > 0
	}
	if unread < frameHeaderLen {
		return false
	}
	h := (*in.buf)[in.r:]
	n := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	if h[0]&frameType == typeData {
		return unread > frameHeaderLen || n == 0 && h[0]&frameEnd != 0
	}
	return unread >= frameHeaderLen+n
}
