package target

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"share/tunnel/nbio"
)

// patience is how long a socket whose reads cannot be tried waits to learn that
// there is nothing to read.
const patience = time.Millisecond

// A socket is a connection to the target as the system has it, below TLS. It
// tells its reader what a net.Conn hides: that a Read is about to wait, and
// whether it was the connection that ended.
//
// Its reads, and the fields that steer them, belong to one goroutine at a time.
type socket struct {
	net.Conn

	// onWait is called before a Read waits. If it fails, so does the Read, with
	// its error. If nil, a Read just waits.
	onWait func() error
	// nowait makes a Read that would wait fail with os.ErrDeadlineExceeded.
	nowait bool
	// ended is set once a Read has met the peer's end of the connection, clean
	// or not.
	ended atomic.Bool
	// refused is set once the peer has taken no more of a Write.
	refused atomic.Bool
}

// newSocket wraps c, which the socket owns from here on.
func newSocket(c net.Conn) *socket { return &socket{Conn: nbio.New(c)} }

// Read reads what is there, and waits if nothing is.
func (s *socket) Read(p []byte) (int, error) {
	if s.onWait != nil || s.nowait {
		n, err := s.poll(p)
		if err != os.ErrDeadlineExceeded || s.nowait {
			return s.note(n, err)
		}
		if err := s.onWait(); err != nil {
			return 0, err
		}
	}
	return s.note(s.Conn.Read(p))
}

// poll is a Read that fails with os.ErrDeadlineExceeded instead of waiting, or
// instead of reading at all where reads cannot be tried and need not be.
func (s *socket) poll(p []byte) (int, error) {
	if c, ok := s.Conn.(*nbio.Conn); ok {
		return c.ReadNow(p)
	}
	if !s.nowait {
		return 0, os.ErrDeadlineExceeded
	}
	if err := s.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(p)
	if isTimeout(err) {
		err = os.ErrDeadlineExceeded
	}
	if err := s.Conn.SetReadDeadline(time.Time{}); err != nil {
		return n, err
	}
	return n, err
}

func (s *socket) note(n int, err error) (int, error) {
	if isPeers(err) {
		s.ended.Store(true)
	}
	return n, err
}

// Write writes to the connection.
func (s *socket) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if isPeers(err) {
		s.refused.Store(true)
	}
	return n, err
}

// isPeers reports whether the peer, not this side, made a call fail.
func isPeers(err error) bool {
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed)
}

// reset closes the connection at once so that the peer cannot take what it has
// received for whole: with a RST where there is one. It may be called from any
// goroutine, and wakes those that use the socket.
func (s *socket) reset() {
	s.brittle(true)
	s.Conn.Close()
}

// brittle makes the connection's end a RST, even where the process is killed,
// as long as its FIN would be taken for the end of what is sent.
func (s *socket) brittle(on bool) {
	linger := -1
	if on {
		linger = 0
	}
	if c, ok := s.Conn.(interface{ SetLinger(sec int) error }); ok {
		// An error means that the connection is closed already.
		_ = c.SetLinger(linger)
	}
}
