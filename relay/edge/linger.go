package edge

import (
	"net"
	"time"
)

// A connection is not closed on a visitor who still sends: at once, the answer
// could be lost to a reset (RFC 9112 9.6). What comes is read and thrown away until
// nothing has come for lingerTimeout, for lingerMost at the longest, and lingerBytes
// of it. Many look for the answer to an upload only when they have sent it: that has
// lingerUpload.
const (
	lingerTimeout = 2 * time.Second
	lingerMost    = 10 * time.Second
	lingerBytes   = 1 << 20
	lingerUpload  = 32 << 20
)

// cut ends the connection now; an answer under way is visibly cut.
func (c *conn) cut() {
	c.cancel()
	reset(c.raw)
}

// brittle makes the end of the connection a RST, even that of a process that
// is killed, while its FIN would be taken for the end of a message.
func (c *conn) brittle(on bool) {
	if on {
		setLinger(c.raw, 0)
	} else {
		setLinger(c.raw, -1)
	}
}

// setLinger sets what becomes of unsent bytes at the end of raw: with 0 they
// are dropped and the end is a RST. A connection that knows no such thing
// cannot tell.
func setLinger(raw net.Conn, seconds int) {
	if tc, ok := raw.(interface{ SetLinger(int) error }); ok {
		_ = tc.SetLinger(seconds)
	}
}

// reset closes raw with a RST: a FIN would make a body that ends with the
// connection look whole, and TLS would say close_notify.
func reset(raw net.Conn) {
	setLinger(raw, 0)
	raw.Close()
}

func (c *conn) linger() {
	c.enter(phaseOver)
	linger(c.nc, *c.buf, lingerUpload)
}

// linger ends the sending direction of nc and reads into buf until the visitor
// ends theirs, or most bytes, within bounds: closed at once, the last that was sent
// could be lost to a reset.
func linger(nc net.Conn, buf []byte, most int) {
	if cw, ok := nc.(interface{ CloseWrite() error }); ok {
		if cw.CloseWrite() != nil {
			return
		}
	}
	began := time.Now()
	for n := 0; n < most; {
		now := time.Now()
		left := min(lingerTimeout, lingerMost-now.Sub(began))
		if nc.SetReadDeadline(now.Add(left)) != nil {
			return
		}
		k, err := nc.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
}
