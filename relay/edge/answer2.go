package edge

import "share/tunnel"

// The answer of a stream. Its failure is what writing returns: a stream that
// has ended takes no more.

func (s *stream) sent() bool { return s.begun }

func (s *stream) interim(r *tunnel.Response) error {
	if err := checkHead(r); err != nil {
		return err
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if err := s.wait(); err != nil {
		return err
	}
	s.queueHead(0, r)
	s.conn.kick()
	return nil
}

func (s *stream) head(r *tunnel.Response) error {
	if err := checkResponse(r, s.request.Method); err != nil {
		return err
	}
	s.pending = r
	return nil
}

// begin queues the head that is pending; mu is held.
func (s *stream) begin(flags uint8) error {
	if s.pending == nil {
		return s.usable()
	}
	if err := s.wait(); err != nil {
		return err
	}
	s.queueHead(flags, s.pending)
	s.pending, s.begun = nil, true
	return nil
}

func (s *stream) write(p []byte) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if len(p) == 0 {
		return nil
	}
	if err := s.begin(0); err != nil {
		return err
	}
	return s.queueData(p)
}

func (s *stream) flush() error {
	if s.pending == nil && !s.begun {
		return nil
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if err := s.begin(0); err != nil {
		return err
	}
	s.conn.kick()
	return nil
}

func (s *stream) end(trailers tunnel.Header) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	last := uint8(flagEndStream)
	if len(trailers) > 0 {
		last = 0
	}
	alone := s.pending != nil && last != 0 // the head ends the stream
	if err := s.begin(last); err != nil {
		return err
	}
	switch {
	case alone:
	case last != 0:
		s.endData()
	default:
		if err := s.wait(); err != nil {
			return err
		}
		s.queueTrailers(trailers)
	}
	s.conn.answered(s)
	return nil
}

func (s *stream) answer(r *tunnel.Response, body []byte) error {
	s.pending = r
	if err := s.write(body); err != nil {
		return err
	}
	return s.end(nil)
}

// abort cuts the answer, behind what was sent of it (RFC 9113 5.4.2).
func (s *stream) abort() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.conn.reset(s, codeInternal, "")
}

// upgrade is never asked for: RequestUpgrade is HTTP/1.1's.
func (s *stream) upgrade(x *tunnel.Exchange, _ *tunnel.Response) (received, sent int64, err error) {
	return 0, 0, gone(x, violation("a switch of protocols that nobody asked for"))
}
