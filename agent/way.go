package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"share/tunnel"
)

// A way is how the protocol's bytes travel to the relay. Each leads through the
// proxy, if there is one to use: none goes past it.
type way uint32

const (
	wayLink   way = iota // nothing between: TLS with our ALPN, or TCP
	waySocket            // in a WebSocket
	ways
)

// maxSilences is how often a way that has led to the relay may fail without an
// answer before another is tried: most of these failures are a relay that
// restarts, or has much to do.
const maxSilences = 3

// A passage is how the relay was reached.
type passage struct {
	way     way
	proxy   string // host:port; empty if there is none
	issuer  string // of the certificate behind a WebSocket; empty in plain
	instead error  // why the way that was tried before this one failed; nil if none was
}

// via names what is not the usual way; empty if it is that.
func (p *passage) via() string {
	switch {
	case p.way == waySocket && p.proxy != "":
		return "WebSocket through proxy " + p.proxy
	case p.way == waySocket:
		return "WebSocket"
	case p.proxy != "":
		return "proxy " + p.proxy
	}
	return ""
}

// warning is what the user should know of a passage that took another way than
// the last; empty if it did not.
func (p *passage) warning() string {
	switch {
	case p.instead == nil:
		return ""
	case p.way == wayLink:
		return "the relay is reached without a WebSocket again: " + reason(p.instead)
	case p.issuer == "":
		return "the relay is reached by WebSocket: " + reason(p.instead)
	}
	return fmt.Sprintf("the relay is reached by WebSocket: %s; whoever ends TLS there, with a certificate issued by %s, can read the token: "+
		"the relay, a front of its own, or a proxy that this machine trusts", reason(p.instead), oneLine(p.issuer))
}

// reach connects and has greet, which owns the connection it gets, find out
// whether a relay answers. It begins with the way that was the last to lead to
// one, and tries another if that fails as it does where only HTTP passes. The
// error is tunnel.ErrNotRelay only if each way led to something else. One
// goroutine may call it.
func (d *dialer) reach(ctx context.Context, greet func(net.Conn) error) (p passage, err error) {
	if d.hook != nil {
		conn, err := d.hook(ctx)
		if err != nil {
			return p, err
		}
		return p, greet(conn)
	}
	last := way(d.last.Load())
	for n := range ways {
		w := (last + n) % ways
		next := passage{way: w, instead: err}
		met, failed := d.greet(ctx, &next, greet)
		if met {
			d.last.Store(uint32(w))
			d.proven.Store(true)
			d.silences = 0
			return next, failed
		}
		// Of two failures the one counts that says more of the relay.
		if _, untrusted := errors.AsType[*errUntrusted](failed); err == nil || untrusted || errors.Is(err, tunnel.ErrNotRelay) {
			err = failed
		}
		if ctx.Err() != nil || !d.another(w, failed) {
			break
		}
		if w == last && d.proven.Load() && !errors.Is(failed, tunnel.ErrNotRelay) {
			if d.silences++; d.silences < maxSilences {
				break
			}
		}
	}
	return p, err
}

// greet tries one way, and completes p. met says that the relay was met there,
// whatever else has failed.
func (d *dialer) greet(ctx context.Context, p *passage, greet func(net.Conn) error) (met bool, err error) {
	conn, err := d.dialBy(ctx, p.way)
	if err != nil {
		return false, err
	}
	if p.way == waySocket {
		p.issuer = issuer(conn)
	}
	if proxy, err := d.chooseProxy(); err == nil && proxy != nil {
		p.proxy = proxy.Host
	}
	err = greet(conn)
	_, refused := errors.AsType[*tunnel.RejectError](err)
	return err == nil || refused || p.way == wayLink && !d.relay.Plain, err
}

// another reports whether a failure of w says no more than that this way is
// barred: something that is no relay has answered, or whatever takes the
// connection gives no answer, as those do who let only pass what they know. An
// address where nothing listens and a certificate that is not trusted are the
// same by every way.
func (d *dialer) another(w way, err error) bool {
	if errors.Is(err, tunnel.ErrNotRelay) {
		return true
	}
	if p, ok := errors.AsType[*proxyError](err); ok {
		// In plain a WebSocket needs no CONNECT.
		return w == wayLink && d.relay.Plain && (p.status == http.StatusForbidden || p.status == http.StatusMethodNotAllowed)
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe.Op == "read" || oe.Op == "write" || oe.Op == "remote error" && w == wayLink
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
