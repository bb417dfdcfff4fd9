package edge

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

// respond answers the request whose head was read, and reports whether the
// connection takes another.
func (c *conn) respond(head []byte) bool {
	r := &c.request
	*r = request{Request: tunnel.Request{ID: c.edge.ids.append(c.idBuf[:0])}, start: c.edge.begin()}
	c.renew()
	if err := c.http.Parse(head); err != nil {
		c.refuse(err, head)
		return false
	}
	c.keep = !c.http.Close && !c.edge.draining.Load() && c.peer.refusal == nil
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
	c.describe(r)
	var out outcome
	if err := c.foresee(); err != nil {
		r.place = c.edge.Lookup(c.http.Name) // for the log
		out = c.edge.refuse(c, r, tunnel.AsFailure(err))
	} else {
		out = c.edge.dispatch(c.ctx, c, r, c.http.Name)
	}
	c.edge.settle(r, &c.peer, out)
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
	if r.version = version11; h.Minor == 0 {
		r.version = version10
	}
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
	if c.addedFor != string(h.Host) {
		c.addedFor = string(h.Host)
		c.added = c.peer.fields(c.addedFor, h.Port)
		c.covered = c.peer.served(h.Name)
	}
	r.covered, r.refusal = c.covered, c.peer.refusal
	c.fields = slices.Grow(c.fields[:0], len(h.Fields)+len(c.added)+1) // Via is one more
	c.fields = c.peer.strip(h.Forward(c.fields))
	c.fields = c.peer.add(c.fields, c.added)
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

// refuse answers a head that is no request, what came of which is begin, and ends
// the connection.
func (c *conn) refuse(err error, begin []byte) {
	f, ok := errors.AsType[*tunnel.Failure](err)
	if !ok {
		return
	}
	r := &request{Request: tunnel.Request{ID: c.edge.ids.append(nil)}, start: c.edge.begin()}
	c.renew()
	asked := *r
	if http1.BeginsHead(begin) {
		asked.Method = []byte("HEAD") // which has no body in its answer, whatever is wrong
	}
	out := c.edge.refuse(c, &asked, f)
	c.edge.settle(r, &c.peer, out)
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
	return unforged(c.http.ForwardTrailers(nil, c.chunked.Trailers()))
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
			c.buf = nbio.Fit(c.buf, c.w)
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
