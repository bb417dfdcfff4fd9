// Package websock carries a stream of bytes over a WebSocket (RFC 6455), for
// networks that let nothing but HTTP pass. Its connections are those of package
// net to whoever uses them: messages are pieces of the stream and mean nothing,
// and neither does the WebSocket's end.
package websock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxMessage bounds a message. A piece of a large one would arrive with
	// its end, on a slow line too late to be a sign of life.
	maxMessage = 16 << 10

	// maxEmpty bounds the frames in emptySpan that bring the stream nothing:
	// pings, which cost a write each, pongs and empty messages. Nobody on the
	// way has so many to send.
	maxEmpty  = 100
	emptySpan = 10 * time.Second
)

var (
	errFlood = errors.New("WebSocket: peer floods with frames that carry nothing")
	errText  = errors.New("WebSocket: peer sent text")
)

// A Conn is a WebSocket whose binary messages are a stream of bytes. One
// goroutine may Read, one may Write; the other methods may be called by any.
// Deadlines and addresses are those of the connection beneath; behind an error
// it is of no more use.
type Conn struct {
	net.Conn // beneath
	ws       *websocket.Conn

	// Owned by the goroutine that reads.
	empty   *empties
	message io.Reader // the one that is being read, nil if none is
	carried bool      // bytes of it were
	failed  error     // what Read returns from now on, if not nil
}

func newConn(conn net.Conn, ws *websocket.Conn, e *empties) *Conn {
	ws.SetReadLimit(maxMessage)
	return &Conn{Conn: conn, ws: ws, empty: e}
}

// NetConn is the connection beneath.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read reads what has come, without regard to where messages begin. Its errors
// are final: behind one, the place in the message is lost.
func (c *Conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n == 0 && c.failed == nil {
		if n, err = c.read(p); err != nil {
			// The bytes that came before it may still be masked.
			n, c.failed = 0, c.readError(err)
		}
	}
	return n, c.failed
}

// read reads a piece of the message that is under way, or goes on to the next.
func (c *Conn) read(p []byte) (int, error) {
	if c.message == nil {
		// A context that ends would close the connection; deadlines do not
		// need one.
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return 0, err
		}
		if kind != websocket.MessageBinary {
			c.Conn.Close()
			return 0, errText
		}
		c.message, c.carried = r, false
	}
	n, err := c.message.Read(p)
	c.carried = c.carried || n > 0
	if err == io.EOF {
		// The message's end, or the connection's, which comes again.
		if c.message, err = nil, nil; !c.carried {
			c.empty.add()
		}
	}
	return n, err
}

// readError gives an error of the library's in the words of package net: an end
// that the peer has announced is one that it has not.
func (c *Conn) readError(err error) error {
	if c.empty.flood {
		return errFlood
	}
	if errors.Is(err, errText) {
		return errText
	}
	if websocket.CloseStatus(err) >= 0 {
		return io.EOF
	}
	return plain(err)
}

// plain gives what lies beneath an error of the library's, if that is known.
func plain(err error) error {
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, known) {
			return known
		}
	}
	return fmt.Errorf("WebSocket: %w", err)
}

// Write writes all of p, or returns why it cannot and how much of it went at
// least.
func (c *Conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+maxMessage)]
		if err := c.ws.Write(context.Background(), websocket.MessageBinary, piece); err != nil {
			return n, plain(err)
		}
		n += len(piece)
	}
	return n, nil
}

// CloseWrite ends this side's direction of the connection beneath, if it can.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection at once, without the goodbye of a WebSocket, for
// whose answer it would have to wait.
func (c *Conn) Close() error {
	if err := c.ws.CloseNow(); err != nil {
		return plain(err)
	}
	return nil
}

// empties counts frames that carry nothing. It belongs to the goroutine that
// reads.
type empties struct {
	conn  net.Conn
	since time.Time
	n     int
	flood bool
}

// add counts one more, and reports whether it is within bounds. A flood ends
// the connection.
func (e *empties) add() bool {
	if now := time.Now(); now.Sub(e.since) >= emptySpan {
		e.since, e.n = now, 0
	}
	if e.n++; e.n > maxEmpty && !e.flood {
		e.flood = true
		e.conn.Close()
	}
	return !e.flood
}

// ping reports whether a ping is to be answered.
func (e *empties) ping(context.Context, []byte) bool { return e.add() }

func (e *empties) pong(context.Context, []byte) { e.add() }
