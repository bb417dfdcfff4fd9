package edge

import (
	"errors"
	"io"
	"strconv"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

func (c *conn) sent() bool { return c.gone }

// queue returns the buffer to append to.
func (c *conn) queue() *[]byte {
	if c.out == nil {
		c.out = outBuffers.Get().(*[]byte)
	}
	return c.out
}

func (c *conn) freeOut() {
	if c.out == nil {
		return
	}
	if cap(*c.out) <= 2*outBuffer {
		*c.out = (*c.out)[:0]
		outBuffers.Put(c.out)
	}
	c.out = nil
}

func (c *conn) flush() error {
	if c.out == nil {
		return nil
	}
	c.gone = c.gone || c.began
	_, err := c.nc.Write(*c.out)
	c.freeOut()
	return err
}

// flushWith sends what is queued, and p behind it.
func (c *conn) flushWith(p []byte) error {
	socket, ok := c.nc.(*nbio.Conn)
	if !ok {
		if err := c.flush(); err != nil {
			return err
		}
		_, err := c.nc.Write(p)
		return err
	}
	c.gone = c.gone || c.began
	_, err := socket.WriteBoth(*c.queue(), p)
	c.freeOut()
	return err
}

func (c *conn) interim(r *tunnel.Response) error {
	if c.http.Minor == 0 {
		return nil // RFC 9110 15.2
	}
	if err := checkHead(r); err != nil {
		return err
	}
	out := c.queue()
	*out = http1.AppendStatusLine(*out, r.Status, r.Reason)
	*out = http1.AppendFields(*out, r.Header)
	*out = append(*out, "\r\n"...)
	return c.flush()
}

func (c *conn) head(r *tunnel.Response) error {
	if err := checkResponse(r, c.request.Method); err != nil {
		return err
	}
	c.bodyless = string(c.request.Method) == "HEAD" || r.Status == 204 || r.Status == 304
	c.framed = !c.bodyless && r.ContentLength < 0 && c.http.Minor > 0
	c.close10 = !c.bodyless && r.ContentLength < 0 && c.http.Minor == 0
	if c.close10 || !c.wholeBody.Load() || c.edge.draining.Load() {
		c.keep = false
	}
	if c.close10 {
		c.brittle(true)
	}
	c.began = true
	c.owed = r.ContentLength
	out := c.queue()
	b := http1.AppendStatusLine(*out, r.Status, r.Reason)
	length := false
	for _, f := range r.Header {
		if tunnel.EqualFold(f.Name, "content-length") {
			if length = true; c.framed || c.close10 {
				continue
			}
		}
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = append(b, f.Value...)
		b = append(b, "\r\n"...)
	}
	switch {
	case c.framed:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case !c.bodyless && !c.close10 && !length:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	*out = c.endHead(b)
	return nil
}

// endHead appends the Connection field and the empty line.
func (c *conn) endHead(b []byte) []byte {
	switch {
	case !c.keep:
		b = append(b, "Connection: close\r\n"...)
	case c.http.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

func (c *conn) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	out := c.queue()
	if c.framed {
		*out = http1.AppendChunkHeader(*out, len(p))
	}
	c.owed -= int64(len(p))
	if len(p) < largePiece || c.owed == 0 {
		*out = append(*out, p...)
	} else if err := c.flushWith(p); err != nil {
		return err
	}
	if out = c.queue(); c.framed {
		*out = append(*out, "\r\n"...)
	}
	if len(*out) >= outBuffer && c.owed != 0 {
		return c.flush()
	}
	return nil
}

func (c *conn) end(trailers tunnel.Header) error {
	if c.framed {
		out := c.queue()
		*out = http1.AppendLastChunk(*out, trailers)
	}
	if err := c.flush(); err != nil {
		return err
	}
	if c.close10 {
		c.brittle(false)
	}
	return nil
}

func (c *conn) answer(r *tunnel.Response, body []byte) error {
	c.freeOut() // a head that was queued
	if c.close10 {
		c.close10 = false
		c.brittle(false)
	}
	if !c.wholeBody.Load() || c.edge.draining.Load() {
		c.keep = false
	}
	c.began = true
	out := c.queue()
	b := http1.AppendStatusLine(*out, r.Status, r.Reason)
	b = http1.AppendFields(b, r.Header)
	b = c.endHead(b)
	*out = append(b, body...)
	return c.flush()
}

// abort cuts the message. Its framing tells: the last chunk or the rest of the
// length is missing. Where the end of the connection is the message's, only a
// RST does.
func (c *conn) abort() {
	c.keep = false
	if c.out != nil && c.owed == 0 && !c.framed && len(*c.out) > 0 {
		*c.out = (*c.out)[:len(*c.out)-1] // with it the message would be whole
	}
	// A visitor who does not take what was sent before loses it to a RST. A
	// connection that takes no deadline is broken.
	_ = c.nc.SetWriteDeadline(time.Now().Add(lingerTimeout))
	if !c.began || c.close10 || c.flush() != nil {
		c.over = true
		reset(c.raw)
	}
}

// upgrade passes bytes both ways: a FIN for an END, a RST for a failure.
func (c *conn) upgrade(x *tunnel.Exchange, r *tunnel.Response) (received, passed int64, err error) {
	if err := checkUpgrade(r, c.http.Upgrade); err != nil {
		return 0, 0, gone(x, err)
	}
	c.keep = false
	c.began, c.close10 = true, true
	c.enter(phaseBody)
	c.brittle(true)
	out := c.queue()
	b := http1.AppendStatusLine(*out, r.Status, r.Reason)
	b = http1.AppendFields(b, r.Header)
	*out = append(b, "Connection: Upgrade\r\n\r\n"...)
	if err := c.flush(); err != nil {
		return 0, 0, gone(x, err)
	}
	sent := make(chan struct{})
	go func() { // ended by the visitor, or by reset below
		defer close(sent)
		received = c.stream(x)
	}()
	for {
		if !x.Buffered() {
			if err := c.flush(); err != nil {
				x.Abort(tunnel.Fail(tunnel.VisitorGone, err))
			}
		}
		p, err := x.Data()
		if err == nil {
			if err = c.write(p); err == nil {
				passed += int64(len(p))
				continue
			}
			x.Abort(tunnel.Fail(tunnel.VisitorGone, err))
		} else if err == io.EOF && c.closeWrite() == nil {
			<-sent
			if x.Err() == nil {
				c.brittle(false)
			}
			return received, passed, x.Err()
		}
		reset(c.raw)
		<-sent
		return received, passed, x.Err()
	}
}

// stream passes a visitor's bytes on until they end, and returns how many there
// were.
func (c *conn) stream(x *tunnel.Exchange) (n int64) {
	for {
		for c.r < c.w {
			k, err := x.Write((*c.buf)[c.r:c.w])
			c.r += k
			n += int64(k)
			if err != nil {
				return n
			}
		}
		if x.Flush() != nil {
			return n
		}
		err := c.fill()
		if err == io.EOF {
			// An error is the exchange's, which the other direction has.
			_ = x.End(nil)
			return n
		}
		if err != nil {
			x.Abort(tunnel.Fail(tunnel.VisitorGone, err))
			return n
		}
	}
}

func (c *conn) closeWrite() error {
	if err := c.flush(); err != nil {
		return err
	}
	cw, ok := c.nc.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return cw.CloseWrite()
}
