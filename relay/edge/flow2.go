package edge

const (
	// streamWindow is what a visitor may send at first of a body that nobody
	// has read, and streamWindowMost what that grows to while it is read as
	// fast as it comes.
	streamWindow     = 256 << 10
	streamWindowMost = 1 << 20

	// connWindow is what a visitor may send on all streams and nobody has
	// read: some that nobody reads do not hold up the others.
	connWindow = 4 << 20
)

// widen makes room for a visitor who sends a body, if there is memory to spare;
// mu is held.
func (c *conn2) widen() {
	if c.most < connWindow && c.edge.Uploads.Take(connWindow-c.most) {
		c.spare, c.most = connWindow-c.most, connWindow
	}
}

// narrow gives back what widen took; mu is held.
func (c *conn2) narrow() {
	if c.spare > 0 {
		c.edge.Uploads.GiveBack(c.spare)
		c.spare = 0
	}
}

// grant lets the visitor send more, as far as what is unread permits; mu is
// held.
func (c *conn2) grant() {
	more := c.most - c.held - c.allowed
	if more < c.most/4 || c.over {
		return
	}
	c.allowed += more
	out := c.queue()
	*out = appendWord(*out, frameWindowUpdate, 0, uint32(more))
	c.kick()
}

// consume lets the visitor send more of a body of which n bytes were read; mu
// is held.
func (s *stream) consume(n int64) {
	c := s.conn
	c.grant()
	if s.credit += n; s.credit < s.limit/2 || s.whole || s.failure != nil {
		return
	}
	more := s.credit
	if len(s.filling) == 0 && s.limit < streamWindowMost {
		more += s.limit
		s.limit *= 2
	}
	s.credit = 0
	s.allowed += more
	out := c.queue()
	*out = appendWord(*out, frameWindowUpdate, s.id, uint32(more))
	c.kick()
}
