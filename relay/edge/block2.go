package edge

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// A block is a header block under way (RFC 9113 4.3).
type block struct {
	stream   uint32  // 0 if none is under way
	opens    *stream // what it opens, nil if it does not
	trailers bool    // it holds those of stream, which may end meanwhile
	head     *head   // where its fields go
	end      bool    // END_STREAM
	parts    []byte  // what came of it before
}

// takeHeaders begins a block: a request, or trailers (RFC 9113 6.2).
func (c *conn2) takeHeaders(f *frame) error {
	if f.stream%2 == 0 {
		return violation2(codeProtocol, "HEADERS of a stream that no visitor opens")
	}
	if !f.unpad() {
		return violation2(codeProtocol, "padding larger than its frame")
	}
	if f.flags&flagPriority != 0 {
		if len(f.payload) < 5 {
			return violation2(codeFrameSize, "HEADERS too short")
		}
		if binary.BigEndian.Uint32(f.payload)&maxWindow == f.stream {
			return violation2(codeProtocol, "a stream that depends on itself")
		}
		f.payload = f.payload[5:]
	}
	c.block = block{stream: f.stream, head: &c.aside, end: f.flags&flagEndStream != 0}
	if err := c.beginBlock(); err != nil {
		return err
	}
	c.block.head.reset(c.block.trailers)
	return c.fragment(f)
}

// beginBlock finds what a block is for. One that is for nothing has to be read
// all the same: later ones build on it (RFC 9113 4.3).
func (c *conn2) beginBlock() error {
	b := &c.block
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[b.stream]; s != nil {
		switch {
		case s.whole:
			c.reset(s, codeClosed, "HEADERS behind the end of the request")
		case !b.end:
			c.reset(s, codeProtocol, "trailers that do not end the request")
		default:
			b.trailers = true
			return nil
		}
		return c.spend(resetCost)
	}
	switch {
	case c.final && b.stream > c.last: // RFC 9113 6.8
		return c.spend(resetCost)
	case b.stream <= c.last && c.resets.has(b.stream):
		return c.spend(resetCost)
	case b.stream <= c.last:
		return violation2(codeClosed, "HEADERS of a stream that is closed") // RFC 9113 5.1
	}
	c.last = b.stream
	if len(c.streams) >= maxStreams || c.running >= maxServing {
		c.sendReset(b.stream, codeRefused)
		return c.spend(resetCost)
	}
	c.running++
	b.opens = c.unparked()
	b.head = &b.opens.asked
	return nil
}

func (c *conn2) takeContinuation(f *frame) error {
	if c.block.stream == 0 || f.stream != c.block.stream {
		return violation2(codeProtocol, "CONTINUATION of no header block")
	}
	return c.fragment(f)
}

// fragment takes a part of the block. A block that comes in one is not copied.
func (c *conn2) fragment(f *frame) error {
	b := &c.block
	if len(b.parts)+len(f.payload) > maxBlock {
		return violation2(codeCalm, "a header block above 64 KiB")
	}
	if f.flags&flagEndHeaders == 0 {
		b.parts = append(b.parts, f.payload...)
		c.arrive(true)
		if len(f.payload) >= 1<<10 {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.spend(partCost)
	}
	p := f.payload
	if len(b.parts) > 0 {
		b.parts = append(b.parts, p...)
		p = b.parts
	}
	_, err := c.hpack.Write(p)
	if err == nil {
		err = c.hpack.Close()
	}
	if errors.Is(err, hpack.ErrStringLength) || err == nil && b.head.size > maxBlock {
		return violation2(codeCalm, "a head above 64 KiB")
	}
	if err != nil {
		return violation2(codeCompression, "a malformed header block")
	}
	b.parts, b.stream = nil, 0
	c.arrive(false)
	switch {
	case b.opens != nil:
		return c.takeRequest(f.stream, b.opens, b.end)
	case b.trailers:
		err = c.takeTrailers(f.stream)
	}
	c.aside.trim()
	return err
}

// takeRequest opens a stream, if its head is well formed. One that is not is
// reset (RFC 9113 8.1.1): the log alone says why.
func (c *conn2) takeRequest(id uint32, s *stream, end bool) error {
	if wrong := s.asked.malformed(); wrong != "" {
		c.edge.settle(s.renew(), &c.peer, outcome{failure: tunnel.Fail(tunnel.RequestBad, errors.New(wrong))})
		c.mu.Lock()
		defer c.mu.Unlock()
		s.asked.trim()
		c.parked = append(c.parked, s)
		c.sendReset(id, codeProtocol)
		c.served()
		return c.spend(resetCost)
	}
	c.describe(s, end)
	c.mu.Lock()
	c.streams[id] = s
	s.open(id, end, c.initial)
	c.mu.Unlock()
	s.start()
	return nil
}

// describe fills in what the tunnel is told of a request.
func (c *conn2) describe(s *stream, end bool) {
	r := s.renew()
	r.version = version2
	if s.refusal = s.check(end); s.refusal != nil {
		s.fields = s.asked.fields(s.fields[:0], r.Authority) // for the answer and the log
		r.Header = s.fields
		return
	}
	r.Client = c.client
	if c.peer.https {
		r.Flags |= tunnel.RequestHTTPS
	}
	if !end {
		r.Flags |= tunnel.RequestBody
	} else if replayable(r.Method) {
		r.Flags |= tunnel.RequestReplayable
	}
	if c.addedFor != string(r.Authority) {
		c.addedFor = string(r.Authority)
		c.added = c.peer.fields(c.addedFor, s.port)
		c.covered = c.peer.served(s.name)
	}
	r.covered, r.refusal = c.covered, c.peer.refusal
	s.fields = c.peer.strip(s.asked.fields(s.fields[:0], r.Authority))
	s.fields = slices.Grow(c.peer.add(s.fields, c.added), 1) // for Via
	r.Header = s.fields
}

// takeTrailers ends a request's body.
func (c *conn2) takeTrailers(id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.aside
	s := c.streams[id]
	switch {
	case s == nil:
		return c.spend(1) // it has ended meanwhile
	case h.wrong != "" || h.large:
		c.reset(s, codeProtocol, "malformed trailers: "+h.wrong)
		return c.spend(resetCost)
	case s.differs(0, true):
		c.reset(s, codeProtocol, "a body shorter than its content-length")
		return c.spend(resetCost)
	}
	s.tail, c.aside = c.aside, s.tail
	s.whole = true
	s.cond.Broadcast()
	return nil
}
