package edge

import (
	"encoding/binary"
	"errors"

	"share/tunnel"
)

// take acts on a frame.
func (c *conn2) take(f *frame) error {
	if c.block.stream != 0 && f.typ != frameContinuation {
		return violation2(codeProtocol, "a frame inside a header block")
	}
	switch f.typ {
	case frameData:
		return c.takeData(f)
	case frameHeaders:
		return c.takeHeaders(f)
	case frameContinuation:
		return c.takeContinuation(f)
	case framePriority:
		return c.takePriority(f)
	case frameReset:
		return c.takeReset(f)
	case frameSettings:
		return c.takeSettings(f)
	case framePushPromise:
		return violation2(codeProtocol, "PUSH_PROMISE from a visitor")
	case framePing:
		return c.takePing(f)
	case frameGoAway:
		return c.takeGoAway(f)
	case frameWindowUpdate:
		return c.takeWindowUpdate(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend(1) // RFC 9113 5.5: ignored
}

// takeData takes a piece of a request's body (RFC 9113 6.1). Its padding counts
// for the windows, too.
func (c *conn2) takeData(f *frame) error {
	n, end := int64(len(f.payload)), f.flags&flagEndStream != 0
	if !f.unpad() {
		return violation2(codeProtocol, "padding larger than its frame")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(f.stream) {
		return violation2(codeProtocol, "DATA of an idle stream")
	}
	if n > c.allowed {
		return violation2(codeFlowControl, "more DATA than the connection's window")
	}
	c.allowed -= n
	s := c.streams[f.stream]
	switch p := f.payload; {
	case s == nil:
		c.grant()
		return c.stray(f.stream)
	case s.whole:
		c.reset(s, codeClosed, "DATA behind the end of the request")
	case n > s.allowed:
		c.reset(s, codeFlowControl, "more DATA than the stream's window")
	case s.differs(len(p), end):
		c.reset(s, codeProtocol, "a body that differs from its content-length")
	default:
		c.widen()
		s.take(p, n, end)
		if len(p) == 0 && !end {
			return c.spend(1)
		}
		return nil
	}
	c.grant()
	return c.spend(resetCost)
}

// idle reports whether a stream has not been opened yet (RFC 9113 5.1.1); mu is
// held. What is opened behind the last that is served is ignored.
func (c *conn2) idle(id uint32) bool { return id%2 == 0 || id > c.last && !c.final }

// stray answers a frame of a stream that is closed (RFC 9113 5.1); mu is held.
// What was under way when this end reset the stream is ignored.
func (c *conn2) stray(id uint32) error {
	if id > c.last || c.resets.has(id) {
		return c.spend(1)
	}
	c.sendReset(id, codeClosed)
	return c.spend(resetCost)
}

func (c *conn2) takePriority(f *frame) error {
	switch {
	case f.stream == 0:
		return violation2(codeProtocol, "PRIORITY of the connection")
	case len(f.payload) != 5:
		return violation2(codeFrameSize, "PRIORITY of a wrong size")
	case binary.BigEndian.Uint32(f.payload)&maxWindow == f.stream:
		return violation2(codeProtocol, "a stream that depends on itself")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend(1) // RFC 9113 5.3.2: ignored
}

// takeReset is a visitor who has left a stream (RFC 9113 6.4).
func (c *conn2) takeReset(f *frame) error {
	if len(f.payload) != 4 {
		return violation2(codeFrameSize, "RST_STREAM of a wrong size")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(f.stream) {
		return violation2(codeProtocol, "RST_STREAM of an idle stream")
	}
	s := c.streams[f.stream]
	if s == nil {
		return c.spend(1)
	}
	c.fail(s, tunnel.Fail(tunnel.VisitorGone, errReset))
	return c.spend(resetCost)
}

// errReset is a visitor's RST_STREAM.
var errReset = errors.New("the visitor reset the stream")

func (c *conn2) takePing(f *frame) error {
	switch {
	case f.stream != 0:
		return violation2(codeProtocol, "PING of a stream")
	case len(f.payload) != 8:
		return violation2(codeFrameSize, "PING of a wrong size")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.flags&flagAck == 0 {
		out := c.queue()
		*out = appendFrameHeader(*out, framePing, flagAck, 0, 8)
		*out = append(*out, f.payload...)
		c.kick()
	}
	return c.spend(1)
}

// takeGoAway is a visitor who opens no more streams (RFC 9113 6.8).
func (c *conn2) takeGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return violation2(codeProtocol, "GOAWAY of a stream")
	case len(f.payload) < 8:
		return violation2(codeFrameSize, "GOAWAY too short")
	}
	c.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spend(1)
}
