package edge

import (
	"runtime"

	"share/tunnel"
)

// queue returns the buffer to append to; mu is held.
func (c *conn2) queue() *[]byte {
	if c.out == nil {
		c.out = outBuffers.Get().(*[]byte)
	}
	return c.out
}

// kick has what is queued sent; mu is held.
func (c *conn2) kick() {
	if !c.due {
		c.due = true
		c.work.Signal()
	}
}

// writer sends what is queued. It yields once before it takes a batch, so that
// whoever is ready to write joins it: one system call and one TLS record for
// many answers.
func (c *conn2) writer() {
	defer close(c.written)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for !c.due {
			if c.over {
				return
			}
			c.work.Wait()
		}
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		c.due = false
		batch := c.out
		if batch == nil {
			continue
		}
		c.out = nil
		c.batch++
		c.sending = true
		c.mu.Unlock()
		c.room.Broadcast()
		_, err := c.nc.Write(*batch)
		if cap(*batch) <= 2*outBuffer {
			*batch = (*batch)[:0]
			outBuffers.Put(batch)
		}
		c.mu.Lock()
		c.sending = false
		if err != nil {
			c.broken = true
			c.raw.Close() // reading ends, and with it all else
			return
		}
	}
}

// goAway queues a GOAWAY (RFC 9113 6.8); mu is held.
func (c *conn2) goAway(last uint32, why code, detail string) {
	out := c.queue()
	*out = appendGoAway(*out, last, why, detail)
	c.kick()
}

// usable is why nothing more can be sent on the stream; mu is held.
func (s *stream) usable() error {
	if s.failure != nil {
		return s.failure
	}
	return nil
}

// full reports whether more is queued than the connection takes at once; mu is
// held.
func (c *conn2) full() bool { return c.out != nil && len(*c.out) >= outBuffer }

// wait returns when there is room for a head; mu is held.
func (s *stream) wait() error {
	c := s.conn
	for s.failure == nil && c.full() {
		c.kick()
		c.room.Wait()
	}
	return s.usable()
}

// queueHead queues a response's head; mu is held.
func (s *stream) queueHead(flags uint8, r *tunnel.Response) {
	out := s.conn.queue()
	b, at := s.conn.reserve(*out)
	b = appendStatus(b, r.Status)
	b = appendFields(b, r.Header)
	*out = appendBlock(b, at, flags, s.id)
}

// queueTrailers queues trailers, which end the stream; mu is held.
func (s *stream) queueTrailers(trailers tunnel.Header) {
	out := s.conn.queue()
	b, at := s.conn.reserve(*out)
	b = appendFields(b, trailers)
	*out = appendBlock(b, at, flagEndStream, s.id)
}

// reserve leaves room for a frame's header; mu is held.
func (c *conn2) reserve(b []byte) (_ []byte, at int) {
	at = len(b)
	b = append(b, make([]byte, frameHeaderLen)...)
	if !c.untabled {
		c.untabled = true
		b = append(b, hpackNoTable)
	}
	return b, at
}

// queueData queues bytes of the body as the windows let it (RFC 9113 5.2); mu
// is held.
func (s *stream) queueData(p []byte) error {
	c := s.conn
	for len(p) > 0 {
		if err := s.usable(); err != nil {
			return err
		}
		if s.window <= 0 {
			c.kick()
			s.cond.Wait()
			continue
		}
		if c.window <= 0 || c.full() {
			c.kick()
			c.room.Wait()
			continue
		}
		n := int(min(int64(len(p)), maxFrame, s.window, c.window))
		s.window -= int64(n)
		c.window -= int64(n)
		out := c.queue()
		s.lastData, s.inBatch = len(*out), c.batch
		b := appendFrameHeader(*out, frameData, 0, s.id, n)
		*out = append(b, p[:n]...)
		p = p[n:]
		c.gain(dataGain)
	}
	return nil
}

// endData ends the stream with the last DATA, if that is still queued, or else
// with an empty one; mu is held.
func (s *stream) endData() {
	c := s.conn
	out := c.queue()
	if s.lastData >= 0 && s.inBatch == c.batch {
		(*out)[s.lastData+4] |= flagEndStream
		return
	}
	*out = appendFrameHeader(*out, frameData, flagEndStream, s.id, 0)
}

// answered notes that a stream's answer has been queued whole; mu is held.
func (c *conn2) answered(s *stream) {
	s.ended = true
	if s.whole {
		delete(c.streams, s.id)
	}
	c.gain(endGain)
	c.kick()
}
