package edge

import (
	"errors"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

// end closes the connection. err is why: the visitor is told of a connError,
// and may have left for any other reason unless ending is set.
func (c *conn2) end(err error) {
	fault, told := errors.AsType[*connError](err)
	c.mu.Lock()
	if !told && c.fault != nil {
		fault, told = c.fault, true
	}
	graceful := !told && c.ending
	var wrong *tunnel.Failure
	switch {
	case told:
		c.goAway(c.last, fault.code, fault.detail)
		wrong = c.wrong(fault)
	case graceful:
		c.goAway(c.last, codeNone, "")
		told = true
	}
	c.over = true
	c.narrow()
	gone := tunnel.Fail(tunnel.VisitorGone, err)
	for _, s := range c.open() {
		c.fail(s, gone)
	}
	if s := c.block.opens; c.block.stream != 0 && s != nil {
		c.parked = append(c.parked, s)
		c.running--
	}
	c.unpark()
	c.work.Broadcast()
	c.room.Broadcast()
	c.mu.Unlock()
	c.cancel()
	if wrong != nil {
		r := &request{Request: tunnel.Request{ID: c.edge.ids.append(nil)}, start: c.edge.begin()}
		c.edge.settle(r, &c.peer, outcome{failure: wrong})
	}
	if !graceful {
		// A connection that takes no deadline is broken.
		_ = c.nc.SetWriteDeadline(time.Now().Add(lingerTimeout))
	}
	if !told {
		c.raw.Close()
	}
	<-c.written
	c.serving.Wait()
	if told {
		// An answer that was cut lacks its END_STREAM, also where TLS says that
		// the connection ends.
		linger(c.nc, *c.buf, lingerBytes)
	}
	c.raw.Close()
	nbio.Free(c.buf)
}

// wrong is what the log says of a fault that ends the connection, as of a bad head
// of HTTP/1.1; nil of one who was waited for and has asked for nothing. mu is held.
func (c *conn2) wrong(fault *connError) *tunnel.Failure {
	late, inside := fault == c.fault, c.block.stream != 0
	switch {
	case late && !inside && c.r == c.w:
		return nil
	case late:
		return tunnel.Fail(tunnel.RequestTimeout, fault)
	case inside && fault.code == codeCalm:
		return tunnel.Fail(tunnel.RequestHeadTooLarge, fault)
	}
	return tunnel.Fail(tunnel.RequestBad, fault)
}
