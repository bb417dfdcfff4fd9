package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"share/tunnel"
)

var errAgain = errors.New("the target gave the request up; it may have arrived and is not sent again")

// A streamError is the error of one HTTP/2 stream. net/http's own, which has no
// exported name, converts to any struct of these fields by errors.As.
type streamError struct {
	StreamID uint32
	Code     uint32 // RFC 9113 7
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream reset with code %d", e.Code) }

// The codes that say that a message was malformed (RFC 9113 7).
const (
	codeProtocol    = 0x1
	codeFlowControl = 0x3
	codeFrameSize   = 0x6
	codeCompression = 0x9
)

// failure says why a round trip failed, or a body if its head had come.
func (f *h2Flight) failure(ctx context.Context, err error, headed bool) *tunnel.Failure {
	if gone := f.x.Err(); gone != nil {
		return tunnel.AsFailure(gone)
	}
	if given, ok := errors.AsType[*tunnel.Failure](err); ok {
		return given
	}
	if given, ok := errors.AsType[*tunnel.Failure](context.Cause(ctx)); ok {
		return given
	}
	cause := tunnel.TargetIncomplete
	if !headed {
		f.mu.Lock()
		conn, wrote := f.conn, f.wrote
		f.mu.Unlock()
		cause = h2Cause(err, conn, wrote)
		f.unanswered(conn)
	}
	return f.t.fail(cause, endError(err))
}

// h2Cause says why no response came over conn, which is nil if none was ready
// for a request. wrote is whether the request's head was written.
func h2Cause(err error, conn net.Conn, wrote bool) tunnel.Cause {
	if s, ok := errors.AsType[streamError](err); ok {
		switch s.Code {
		case codeProtocol, codeFlowControl, codeFrameSize, codeCompression:
			return tunnel.TargetBadResponse
		}
		return tunnel.TargetClosed
	}
	if isAlert(err) {
		return tunnel.TargetTLS
	}
	// Most of net/http's errors have no name: the connection knows more.
	if ended(conn) {
		return tunnel.TargetClosed
	}
	if _, ok := errors.AsType[*net.OpError](err); ok && conn == nil {
		return tunnel.TargetClosed // it took not even the begin of HTTP/2
	}
	if conn != nil && !wrote && errors.Unwrap(err) != nil {
		// The relay has seen to all that a head can have wrong but for what the
		// target says that it takes (RFC 9113 6.5.2), which net/http wraps.
		return tunnel.RequestHeadTooLarge
	}
	return tunnel.TargetBadResponse
}

// unanswered looks at what came in place of HTTP/2.
func (f *h2Flight) unanswered(conn net.Conn) {
	c, ok := conn.(*h2cConn)
	if ok && c.garbage.Load() && isAlertRecord(c.begin[:]) {
		f.t.tellTLS()
	}
}

// ended reports whether the target ended an HTTP/2 connection, having spoken
// HTTP/2 as long as it spoke.
func ended(conn net.Conn) bool {
	switch c := conn.(type) {
	case *h2cConn:
		return c.isEnded() && !c.garbage.Load()
	case *tls.Conn:
		s, ok := c.NetConn().(*socket)
		return ok && s.isEnded()
	}
	return false
}

func (s *socket) isEnded() bool { return s.ended.Load() || s.refused.Load() }

// settings is the type of the frame that a server begins with (RFC 9113 3.4), and
// settingsAt where in that it stands.
const (
	settings   = 0x4
	settingsAt = 3
)

// An h2cConn is a connection that HTTP/2 is spoken over in plain. It sees
// whether the target speaks it too.
type h2cConn struct {
	*socket
	read    int                  // bytes that have come, up to a frame's type
	begin   [settingsAt + 1]byte // of them, settled once garbage is set
	garbage atomic.Bool
}

func (c *h2cConn) Read(p []byte) (int, error) {
	n, err := c.socket.Read(p)
	if c.read <= settingsAt && n > 0 {
		copy(c.begin[c.read:], p[:n])
		if c.read += n; c.read > settingsAt && c.begin[settingsAt] != settings {
			c.garbage.Store(true)
		}
	}
	return n, err
}
