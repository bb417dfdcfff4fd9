package target

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A conn is a connection to the target that HTTP/1.1 is spoken over. Reads
// belong to one goroutine at a time, and so do writes.
type conn struct {
	net.Conn           // what HTTP is spoken over: sock, or tls on top of it
	sock     *socket   // the connection below TLS
	tls      *tls.Conn // nil without TLS

	reused bool          // it was idle before its present exchange
	idleAt time.Duration // when it was put back; pool's clock
	keep   time.Duration // how long it may be idle
	slot   int           // where it stands in pool.busy
	test   [1]byte       // what alive reads into

	// waiting is since when a response head is waited for, on the pool's
	// clock; 0 if none is, overdue if that took too long.
	waiting atomic.Int64
}

// overdue is the value of conn.waiting once the wait was given up.
const overdue = -1

// newConn wraps c, which the conn owns from here on.
func newConn(c net.Conn) *conn {
	s := newSocket(c)
	return &conn{Conn: s, sock: s}
}

// alive reports whether an idle connection is still of use: neither ended nor
// with anything to read, which would be no answer to what has not been asked.
// Over TLS there may be records that carry no data, such as session tickets.
func (c *conn) alive() bool {
	c.sock.nowait = true
	n, err := c.Read(c.test[:])
	c.sock.nowait = false
	return n == 0 && err == os.ErrDeadlineExceeded
}

// whole reports whether err, of a Read, is an end that the target meant: FIN,
// and over TLS close_notify, which crypto/tls does not ask for where the
// connection ends between two records.
func (c *conn) whole(err error) bool {
	return err == io.EOF && (c.tls == nil || !c.sock.ended.Load())
}

// endRead names the end of what was read, for people.
func (c *conn) endRead(err error) error {
	if err == io.EOF && !c.whole(err) {
		return errTruncated
	}
	return endError(err)
}

// CloseWrite ends this direction.
func (c *conn) CloseWrite() error {
	if c.tls != nil {
		return c.tls.CloseWrite()
	}
	if hc, ok := c.sock.Conn.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return nil
}
