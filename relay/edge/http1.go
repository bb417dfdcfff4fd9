package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
)

// respond answers the request whose head was read, and reports whether the
// connection takes another.
func (c *conn) respond(head []byte) bool {
	r := &c.request
	*r = request{Request: tunnel.Request{ID: c.edge.ids.append(c.idBuf[:0])}, start: time.Now()}
	c.renew()
	if err := c.http.Parse(head); err != nil {
		c.refuse(err)
		return false
	}
	c.keep = !c.http.Close && !c.edge.draining.Load()
	c.wholeBody.Store(!c.http.Body || c.http.ContentLength == 0)
	c.unread = c.http.ContentLength
	if c.http.Chunked {
		c.chunked.Reset(false)
	}
	if c.wholeBody.Load() {
		c.enter(phaseWait)
	} else {
		c.enter(phaseBody)
	}
	if err := c.foresee(); err != nil {
		c.refuse(err)
		return false
	}
	c.describe(r)
	out := c.edge.dispatch(c.ctx, c, r, c.http.Name)
	c.edge.log(r, &c.peer, out)
	if !c.keep {
		// A visitor who did not ask for the end may send more.
		if !c.over && !(c.http.Close && c.wholeBody.Load()) {
			c.linger()
		}
		return false
	}
	c.shrink()
	return true
}

// renew forgets the last answer.
func (c *conn) renew() {
	c.keep, c.over = false, false
	c.began, c.gone, c.bodyless, c.framed, c.close10 = false, false, false, false, false
}

// foresee finds what is wrong with the part of a chunked body that came with
// its head: the target then sees nothing of the request.
func (c *conn) foresee() error {
	if !c.http.Chunked {
		return nil
	}
	var ahead http1.Chunked
	for p := (*c.buf)[c.r:c.w]; len(p) > 0; {
		_, n, err := ahead.Next(p)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// describe fills in what the tunnel is told of the request.
func (c *conn) describe(r *request) {
	h := &c.http
	r.Method, r.Target, r.Authority = h.Method, h.Target, h.Host
	r.Client = c.client
	r.ContentLength = h.ContentLength
	if c.peer.https {
		r.Flags |= tunnel.RequestHTTPS
	}
	if h.Expect {
		r.Flags |= tunnel.RequestExpect
	}
	if h.Trailers {
		r.Flags |= tunnel.RequestTrailers
	}
	switch {
	case h.Body && h.ContentLength != 0:
		r.Flags |= tunnel.RequestBody
	case h.Upgrade != nil:
		r.Flags |= tunnel.RequestUpgrade
	case replayable(h.Method):
		r.Flags |= tunnel.RequestReplayable
	}
	r.accept = h.Fields.Get("accept")
	if c.addedFor != string(h.Host) {
		c.addedFor = string(h.Host)
		c.added = c.peer.fields(h.Host, h.Port)
		c.covered = c.edge.covers(&c.peer, h.Name)
	}
	r.covered = c.covered
	c.fields = c.peer.strip(h.Forward(c.fields[:0]))
	c.fields = c.peer.add(c.fields, c.added)
	c.fields = slices.Grow(c.fields, 1) // for Via
	r.Header = c.fields
}

// replayable reports whether a method may be sent twice (RFC 9110 9.2.2), as
// far as share does.
func replayable(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// refuse answers a head that is no request, and ends the connection.
func (c *conn) refuse(err error) {
	f, ok := errors.AsType[*tunnel.Failure](err)
	if !ok {
		return
	}
	r := &request{Request: tunnel.Request{ID: c.edge.ids.append(nil)}, start: time.Now()}
	c.renew()
	out := c.edge.refuse(c, r, f)
	c.edge.log(r, &c.peer, out)
	if !c.over {
		c.linger()
	}
}

// The request's body.

func (c *conn) ready() bool {
	return c.wholeBody.Load() || !c.http.Chunked && c.unread <= int64(c.w-c.r)
}

func (c *conn) trailers() tunnel.Header {
	if !c.http.Chunked {
		return nil
	}
	return http1.ForwardTrailers(nil, c.chunked.Trailers())
}

func (c *conn) body() ([]byte, error) {
	for {
		if c.wholeBody.Load() {
			// Not before the last bytes were used: what is read ahead
			// now may take their place.
			c.enter(phaseWait)
			return nil, io.EOF
		}
		if c.r == c.w {
			c.grow()
			if err := c.fill(); err != nil {
				return nil, c.bodyError(err)
			}
		}
		if !c.http.Chunked {
			n := int(min(c.unread, int64(c.w-c.r)))
			p := (*c.buf)[c.r : c.r+n]
			c.r += n
			if c.unread -= int64(n); c.unread == 0 {
				c.wholeBody.Store(true)
			}
			return p, nil
		}
		p, n, err := c.chunked.Next((*c.buf)[c.r:c.w])
		c.r += n
		if err == io.EOF {
			c.wholeBody.Store(true)
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(p) > 0 {
			return p, nil
		}
	}
}

func (c *conn) bodyError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errInterrupted
	}
	return tunnel.Fail(tunnel.VisitorGone, err)
}

func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopReads()
}

func (c *conn) resume() {
	// As in stopReads.
	_ = c.nc.SetReadDeadline(time.Time{})
}

// The answer.

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
	if len(p) >= outDirect {
		return c.direct(p)
	}
	*out = append(*out, p...)
	if c.framed {
		*out = append(*out, "\r\n"...)
	}
	if len(*out) >= outBuffer {
		return c.flush()
	}
	return nil
}

// direct sends what is queued and p without copying p.
func (c *conn) direct(p []byte) error {
	c.gone = true
	pieces := net.Buffers{*c.out, p}
	if c.framed {
		pieces = append(pieces, []byte("\r\n"))
	}
	_, err := pieces.WriteTo(c.nc)
	c.freeOut()
	return err
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
	c.keep, c.over = false, true
	// A visitor who does not take what was sent before loses it to a RST. A
	// connection that takes no deadline is broken.
	_ = c.nc.SetWriteDeadline(time.Now().Add(lingerTimeout))
	if c.began && !c.close10 && c.flush() == nil {
		c.linger()
		return
	}
	reset(c.raw)
}

// upgrade passes bytes both ways: a FIN for an END, a RST for a failure.
func (c *conn) upgrade(x *tunnel.Exchange, r *tunnel.Response) error {
	if err := checkUpgrade(r, c.http.Upgrade); err != nil {
		return gone(x, err)
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
		return gone(x, err)
	}
	sent := make(chan struct{})
	go func() { // ended by the visitor, or by reset below
		defer close(sent)
		c.stream(x)
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
				continue
			}
			x.Abort(tunnel.Fail(tunnel.VisitorGone, err))
		} else if err == io.EOF && c.closeWrite() == nil {
			<-sent
			if x.Err() == nil {
				c.brittle(false)
			}
			return x.Err()
		}
		reset(c.raw)
		<-sent
		return x.Err()
	}
}

// stream passes a visitor's bytes on until they end.
func (c *conn) stream(x *tunnel.Exchange) {
	for {
		for c.r < c.w {
			n, err := x.Write((*c.buf)[c.r:c.w])
			c.r += n
			if err != nil {
				return
			}
		}
		if x.Flush() != nil {
			return
		}
		err := c.fill()
		if err == io.EOF {
			// An error is the exchange's, which the other direction has.
			_ = x.End(nil)
			return
		}
		if err != nil {
			x.Abort(tunnel.Fail(tunnel.VisitorGone, err))
			return
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
