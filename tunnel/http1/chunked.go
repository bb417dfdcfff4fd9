package http1

import (
	"io"

	"share/tunnel"
)

// Chunked decodes a chunked body (RFC 9112 7.1) from buffers of the caller's.
// It is strict for both kinds of message: lines end in CRLF, a size is at most
// 16 HEXDIG and a value of MaxLength, and extensions, which are ignored, make
// no line longer than MaxChunkLine. The zero value is ready to decode a
// request's body.
type Chunked struct {
	state    chunkState
	response bool
	size     int64 // of the chunk, then what is left of it
	digits   int   // of the chunk's size
	line     int   // bytes of the chunk's line
	section  []byte
	trailers tunnel.Header
	err      error // what ended the decoding: io.EOF or a failure
}

type chunkState uint8

const (
	chunkSize      chunkState = iota // in chunk-size
	chunkBWS                         // behind it, before ";"
	chunkExt                         // in chunk-ext
	chunkSizeLF                      // before the LF that ends the line
	chunkData                        // in chunk-data
	chunkDataCR                      // behind it
	chunkDataLF                      //
	chunkTrailer                     // where the trailer section may begin
	chunkTrailerLF                   // before the LF of an empty one
	chunkSection                     // in a trailer section that has fields
	chunkEnd                         // err is set
)

// Reset makes c ready for a body: a response's, whose faults are the target's,
// or a request's, whose faults are the visitor's.
func (c *Chunked) Reset(response bool) {
	*c = Chunked{response: response, section: c.section[:0], trailers: c.trailers[:0]}
}

// Next decodes what it can of buf, up to the end of the first run of body bytes
// in it. It has consumed buf[:n]; data, which is part of that, is body. With
// neither data nor an error it has consumed all of buf, keeps nothing of it and
// needs more.
//
// The error is io.EOF once the body is whole, its trailers included; buf[n:] is
// then the next message's. Otherwise it is a *tunnel.Failure: TargetBadResponse
// or TargetHeadTooLarge for a response, RequestBad or
// RequestHeadTooLarge for a request. It is the same at every later call.
func (c *Chunked) Next(buf []byte) (data []byte, n int, err error) {
	for n < len(buf) || c.state == chunkEnd {
		switch c.state {
		case chunkEnd:
			return nil, n, c.err
		case chunkData:
			k := int(min(c.size, int64(len(buf)-n)))
			if c.size -= int64(k); c.size == 0 {
				c.state = chunkDataCR
			}
			return buf[n : n+k : n+k], n + k, nil
		case chunkSection:
			n += c.gather(buf[n:])
		default:
			c.step(buf[n])
			n++
		}
	}
	return nil, n, nil
}

// Trailers returns the trailer fields, which are there after io.EOF and hold
// until Reset.
func (c *Chunked) Trailers() tunnel.Header { return c.trailers }

// step takes one byte of framing.
func (c *Chunked) step(b byte) {
	switch c.state {
	case chunkSize, chunkBWS, chunkExt:
		if c.line++; c.line > MaxChunkLine {
			c.fail("chunk line above 4 KiB")
			return
		}
		c.stepLine(b)
	case chunkSizeLF:
		c.digits, c.line = 0, 0
		c.expect(b, '\n', chunkData)
		if c.size == 0 && c.state == chunkData {
			c.state = chunkTrailer
		}
	case chunkDataCR:
		c.expect(b, '\r', chunkDataLF)
	case chunkDataLF:
		c.expect(b, '\n', chunkSize)
	case chunkTrailer:
		if b == '\r' {
			c.state = chunkTrailerLF
			return
		}
		if class[b]&tchar == 0 {
			c.fail("no field where trailers begin")
			return
		}
		c.section = append(c.section[:0], b)
		c.state = chunkSection
	case chunkTrailerLF:
		if c.expect(b, '\n', chunkEnd); c.err == nil {
			c.err = io.EOF
		}
	}
}

// stepLine takes a byte of chunk-size [ chunk-ext ] CR.
func (c *Chunked) stepLine(b byte) {
	switch {
	case c.state == chunkSize && class[b]&hexdig != 0:
		if c.digits++; c.digits > 16 || c.size >= MaxLength>>4 {
			c.fail("chunk size too large")
			return
		}
		c.size = c.size<<4 | int64(hexValue(b))
	case c.state == chunkSize && c.digits == 0:
		c.fail("malformed chunk size")
	case b == '\r' && c.state != chunkBWS:
		c.state = chunkSizeLF
	case c.state == chunkExt:
		if class[b]&fvalue == 0 {
			c.fail("control byte in a chunk extension")
		}
	case b == ';':
		c.state = chunkExt
	case b == ' ' || b == '\t':
		c.state = chunkBWS
	default:
		c.fail("malformed chunk size")
	}
}

// expect moves on to next if b is want, and fails otherwise.
func (c *Chunked) expect(b, want byte, next chunkState) {
	if b != want {
		c.fail("chunk or line without its CRLF")
		return
	}
	c.state = next
}

func (c *Chunked) fail(detail string) {
	cause := tunnel.RequestBad
	if c.response {
		cause = tunnel.TargetBadResponse
	}
	c.failAs(cause, "chunked body: "+detail)
}

func (c *Chunked) failAs(cause tunnel.Cause, detail string) {
	c.err = requestError(cause, detail)
	if c.response {
		c.err = responseError(cause, detail)
	}
	c.state = chunkEnd
}

func hexValue(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b&0xf + 9
}
