package target

import (
	"fmt"
	"io"

	"share/tunnel"
	"share/tunnel/http1"
)

// switchProtocols passes a 101 on, if it was asked for, and then bytes both
// ways until both sides have ended (RFC 9110 7.8). Each side's end stays that
// of one direction, a reset is passed on as one.
func (f *flight) switchProtocols() *tunnel.Failure {
	if f.upgrade == nil || !http1.Asked(f.upgrade, f.resp.Upgrade) {
		return f.t.fail(tunnel.UpgradeFailed, fmt.Errorf("101 to %.60q where %.60q was asked for", f.resp.Upgrade, f.upgrade))
	}
	if err := f.sendHead(tunnel.ResponseUpgrade); err != nil {
		return tunnel.AsFailure(err)
	}
	f.status = 101
	c := f.c
	c.sock.brittle(true)
	f.body.Go(func() { f.upstream(c) }) // serve waits for it
	c.sock.onWait = f.flushFn
	if failure := f.downstream(); failure != nil {
		return failure
	}
	f.body.Wait()
	if err := f.x.Err(); err != nil {
		return tunnel.AsFailure(err)
	}
	if err := f.refusal(); err != nil {
		// It has ended its half before: now it takes no more of the other.
		return f.t.fail(tunnel.TargetIncomplete, err)
	}
	f.detach()
	f.c = nil
	f.t.pool.drop(c)
	c.sock.brittle(false)
	c.Close()
	return nil
}

// downstream carries the target's bytes, until it ends its half.
func (f *flight) downstream() *tunnel.Failure {
	for passed := int64(0); ; {
		if f.r < f.w {
			if f.search.suspicion != suspectNothing {
				f.search.body(f.buf[f.r:f.w])
			}
			if _, err := f.x.Write(f.buf[f.r:f.w]); err != nil {
				return tunnel.AsFailure(err)
			}
			passed += int64(f.w - f.r)
		}
		if err := f.fill(); err != nil {
			if !f.ended(err) {
				return f.cut(err, passed)
			}
			if err := f.x.End(nil); err != nil {
				return tunnel.AsFailure(err)
			}
			return nil
		}
	}
}

// upstream carries the visitor's bytes to the target, until the visitor ends
// its half.
func (f *flight) upstream(c *conn) {
	for {
		p, err := f.x.Data()
		if err == io.EOF {
			// An error is the connection's end, which the other direction sees.
			_ = c.CloseWrite()
			return
		}
		if err != nil {
			c.sock.reset()
			return
		}
		if !f.write(c, p) {
			return
		}
	}
}
