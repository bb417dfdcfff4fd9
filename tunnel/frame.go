package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A frame is 4 bytes of header and a payload: byte 0 holds END, IGN and the
// type, the other three the payload's length, big endian.
const (
	frameHeaderLen = 4

	frameEnd    = 0x80 // the last frame of this half
	frameIgnore = 0x40 // a receiver that does not know the type skips it
	frameType   = 0x3f
)

// The frames of an exchange.
const (
	typeRequest  = 1
	typeResponse = 2
	typeInterim  = 3
	typeData     = 4
	typeTrailers = 5
	typeError    = 6
	typeStop     = 7
)

// The frames of a control stream.
const (
	typeBind      = 16
	typeBound     = 17
	typeBindError = 18
	typeUnbind    = 19
	typePing      = 20
	typePong      = 21
	typeReset     = 22
	typeDrain     = 23
	typeNotice    = 24
	typeHealth    = 25
	typeCredit    = 26
)

// Bounds of what a peer may send, checked before anything is allocated.
const (
	// maxHead bounds a head or trailers: a target's 64 KiB head with what
	// the forwarding fields and the encoding add.
	maxHead = 96 << 10

	// maxFields bounds the fields of one header. 64 KiB of target's head
	// hold more of the shortest, but nobody means them.
	maxFields = 4096

	// maxDetail bounds the text of an ERROR or RESET.
	maxDetail = 1 << 10

	// maxControl bounds a control frame.
	maxControl = 16 << 10
)

// Flags of an ERROR frame.
const (
	errorNotProcessed = 1 << iota
	errorAfterHead
)

var errShortFrame = errors.New("frame ends early")

// beginFrame appends the header of a frame whose length endFrame fills in.
func beginFrame(b []byte, typ byte) []byte {
	return append(b, typ, 0, 0, 0)
}

// endFrame writes the length of the frame that began at b[start].
func endFrame(b []byte, start int) []byte {
	n := len(b) - start - frameHeaderLen
	b[start+1], b[start+2], b[start+3] = byte(n>>16), byte(n>>8), byte(n)
	return b
}

// oneByte is the least number that a uvarint takes more than one byte for. Most
// take one, and are worth a way of their own.
const oneByte = 0x80

func appendString[T string | []byte](b []byte, s T) []byte {
	if len(s) < oneByte {
		b = append(b, byte(len(s)))
	} else {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	return append(b, s...)
}

func appendHeader(b []byte, h Header) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for i := range h {
		b = appendString(b, h[i].Name)
		b = appendString(b, h[i].Value)
	}
	return b
}

func appendRequest(b []byte, seq uint32, r *Request) []byte {
	start := len(b)
	b = beginFrame(b, typeRequest)
	b = binary.AppendUvarint(b, uint64(seq))
	b = binary.AppendUvarint(b, uint64(r.Tunnel))
	b = append(b, byte(r.Flags))
	b = binary.AppendUvarint(b, uint64(r.ContentLength+1))
	b = appendString(b, r.ID)
	b = appendString(b, r.Method)
	b = appendString(b, r.Target)
	b = appendString(b, r.Authority)
	b = appendString(b, r.Client)
	b = appendHeader(b, r.Header)
	return endFrame(b, start)
}

func appendResponse(b []byte, r *Response) []byte {
	start := len(b)
	typ := byte(typeResponse)
	if r.Interim() {
		typ = typeInterim
	}
	b = beginFrame(b, typ)
	b = binary.AppendUvarint(b, uint64(r.Status))
	b = append(b, byte(r.Flags))
	b = binary.AppendUvarint(b, uint64(r.ContentLength+1))
	b = appendString(b, r.Reason)
	b = appendHeader(b, r.Header)
	return endFrame(b, start)
}

func appendTrailers(b []byte, h Header) []byte {
	start := len(b)
	b = beginFrame(b, typeTrailers|frameEnd)
	b = appendHeader(b, h)
	return endFrame(b, start)
}

func appendError(b []byte, f *Failure) []byte {
	start := len(b)
	b = beginFrame(b, typeError|frameEnd)
	var flags byte
	if f.NotProcessed {
		flags |= errorNotProcessed
	}
	if f.AfterHead {
		flags |= errorAfterHead
	}
	b = binary.BigEndian.AppendUint16(b, uint16(f.Cause))
	b = append(b, flags)
	b = appendString(b, clip(f.Detail))
	return endFrame(b, start)
}

// A reset names one exchange of a lane: the stream and its seq, so that one
// that arrives late cannot hit the next exchange on the stream.
type reset struct {
	stream, seq uint32
	failure     *Failure
}

func appendReset(b []byte, r reset) []byte {
	start := len(b)
	b = beginFrame(b, typeReset)
	b = binary.BigEndian.AppendUint32(b, r.stream)
	b = binary.BigEndian.AppendUint32(b, r.seq)
	b = binary.BigEndian.AppendUint16(b, uint16(r.failure.Cause))
	b = appendString(b, clip(r.failure.Detail))
	return endFrame(b, start)
}

func appendCredit(b []byte, c credit) []byte {
	start := len(b)
	b = beginFrame(b, typeCredit)
	b = binary.BigEndian.AppendUint32(b, c.stream)
	b = binary.BigEndian.AppendUint32(b, c.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(c.bytes))
	return endFrame(b, start)
}

// clip bounds a detail to what a frame may carry.
func clip[T string | []byte](s T) T { return s[:min(len(s), maxDetail)] }

// A decoder takes a payload apart. The first thing missing makes err sticky;
// what it returns aliases the payload.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errShortFrame
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) byte() byte {
	p := d.take(1)
	if p == nil {
		return 0
	}
	return p[0]
}

func (d *decoder) uint16() uint16 {
	p := d.take(2)
	if p == nil {
		return 0
	}
	return binary.BigEndian.Uint16(p)
}

func (d *decoder) uint32() uint32 {
	p := d.take(4)
	if p == nil {
		return 0
	}
	return binary.BigEndian.Uint32(p)
}

func (d *decoder) uint64() uint64 {
	p := d.take(8)
	if p == nil {
		return 0
	}
	return binary.BigEndian.Uint64(p)
}

// uvarint reads a number of at most limit.
func (d *decoder) uvarint(limit uint64) uint64 {
	if b := d.b; len(b) > 0 && b[0] < oneByte && uint64(b[0]) <= limit {
		d.b = b[1:]
		return uint64(b[0])
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() []byte {
	if b := d.b; len(b) > 0 && b[0] < oneByte && int(b[0]) < len(b) {
		end := 1 + int(b[0])
		d.b = b[end:]
		return b[1:end:end]
	}
	return d.take(int(d.uvarint(uint64(len(d.b)))))
}

// cause reads why an exchange failed, which no failure leaves open.
func (d *decoder) cause() Cause {
	c := Cause(d.uint16())
	if d.err == nil && c == CauseNone {
		d.err = errors.New("no cause")
	}
	return c
}

// length reads a body's length, sent as one more so that 0 is unknown.
func (d *decoder) length() int64 {
	return int64(d.uvarint(1<<62)) - 1
}

// header appends the fields to h.
func (d *decoder) header(h Header) Header {
	n := d.uvarint(maxFields)
	for range n {
		f := Field{d.string(), d.string()}
		if d.err != nil {
			return h
		}
		h = append(h, f)
	}
	return h
}

// end reports what was wrong with the payload, bytes left over too.
func (d *decoder) end(what string) error {
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes too many", len(d.b))
	}
	if d.err != nil {
		return fmt.Errorf("%s: %w", what, d.err)
	}
	return nil
}

// decodeRequest fills r from a payload, reusing r's Header; r aliases p.
func decodeRequest(p []byte, r *Request) (seq uint32, err error) {
	d := decoder{b: p}
	seq = uint32(d.uvarint(1<<32 - 1))
	r.Tunnel = uint32(d.uvarint(1<<32 - 1))
	r.Flags = RequestFlags(d.byte())
	r.ContentLength = d.length()
	r.ID = d.string()
	r.Method = d.string()
	r.Target = d.string()
	r.Authority = d.string()
	r.Client = d.string()
	r.Header = d.header(r.Header[:0])
	return seq, d.end("REQ")
}

// decodeResponse fills r from a payload, reusing r's Header; r aliases p.
func decodeResponse(p []byte, interim bool, r *Response) error {
	d := decoder{b: p}
	r.Status = int(d.uvarint(999))
	r.Flags = ResponseFlags(d.byte())
	r.ContentLength = d.length()
	r.Reason = d.string()
	r.Header = d.header(r.Header[:0])
	if d.err == nil && (r.Status < 100 || r.Interim() != interim) {
		d.err = fmt.Errorf("status %d", r.Status)
	}
	return d.end("RESP")
}

func decodeTrailers(p []byte, h Header) (Header, error) {
	d := decoder{b: p}
	h = d.header(h[:0])
	return h, d.end("TRAILERS")
}

func decodeError(p []byte) (*Failure, error) {
	d := decoder{b: p}
	f := &Failure{Cause: d.cause()}
	flags := d.byte()
	f.NotProcessed = flags&errorNotProcessed != 0
	f.AfterHead = flags&errorAfterHead != 0
	f.Detail = string(clip(d.string()))
	return f, d.end("ERROR")
}

func decodeReset(p []byte) (reset, error) {
	d := decoder{b: p}
	r := reset{stream: d.uint32(), seq: d.uint32(), failure: &Failure{}}
	r.failure.Cause = d.cause()
	r.failure.Detail = string(clip(d.string()))
	return r, d.end("RESET")
}

func decodeCredit(p []byte) (credit, error) {
	d := decoder{b: p}
	c := credit{stream: d.uint32(), seq: d.uint32(), bytes: int64(d.uint64())}
	if d.err == nil && c.bytes < 0 {
		d.err = errors.New("more bytes than can be counted")
	}
	return c, d.end("CREDIT")
}
