package edge

import (
	"io"

	"share/tunnel"
)

// The request's body: what came of it waits in stream.filling, and body hands it
// out whole.

// differs reports whether a body with so many more bytes is not as long as was
// announced (RFC 9113 8.1.1); mu is held.
func (s *stream) differs(more int, end bool) bool {
	n := s.came + int64(more)
	return s.length >= 0 && (n > s.length || end && n < s.length)
}

// take adds bytes to the body; n of the windows were used; mu is held.
func (s *stream) take(p []byte, n int64, end bool) {
	s.allowed -= n
	s.came += int64(len(p))
	s.filling = append(s.filling, p...)
	s.conn.held += int64(len(p))
	s.whole = end
	s.consume(n - int64(len(p)))
	s.cond.Broadcast()
}

func (s *stream) ready() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.whole
}

func (s *stream) body() ([]byte, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	read := int64(len(s.reading))
	s.reading = s.reading[:0]
	c.held -= read
	s.consume(read)
	for {
		switch {
		case s.failure != nil:
			return nil, s.failure
		case s.interrupted:
			return nil, errInterrupted
		case len(s.filling) > 0:
			s.reading, s.filling = s.filling, s.reading
			return s.reading, nil
		case s.whole:
			return nil, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) trailers() tunnel.Header {
	s.trailing = unforged(s.tail.forward(s.trailing[:0]))
	return s.trailing
}

func (s *stream) interrupt() { s.setInterrupted(true) }
func (s *stream) resume()    { s.setInterrupted(false) }

func (s *stream) setInterrupted(on bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.interrupted = on
	s.cond.Broadcast()
}

func (s *stream) watch(x *tunnel.Exchange) {
	s.conn.mu.Lock()
	f := s.failure
	s.watched = x
	s.conn.mu.Unlock()
	if f != nil {
		x.Abort(f)
	}
}

func (s *stream) unwatch() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.watched = nil
	for s.telling {
		s.cond.Wait() // x may be another's soon
	}
}
