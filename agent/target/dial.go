package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"share/tunnel"
)

// backlogPause is how long a connect waits for a unix socket whose backlog is
// full: TCP tries again by itself, a unix socket fails at once.
const backlogPause = 10 * time.Millisecond

// tlsSessions is how many sessions are kept for resumption. A target has one
// name and rarely more than a few servers behind it.
const tlsSessions = 8

// A dialer connects to one target. It knows no address but the one it was
// given.
type dialer struct {
	addr    Address
	timeout time.Duration
	tls     *tls.Config // nil if the target is not spoken to over TLS
	connect func(ctx context.Context, network, addr string) (net.Conn, error)
	last    atomic.Int32 // which of the loopback addresses answered last
}

func newDialer(cfg *Config) *dialer {
	d := &dialer{
		addr:    cfg.Address,
		timeout: cfg.connectTimeout(),
		connect: (&net.Dialer{}).DialContext,
	}
	if d.addr.secure() {
		d.tls = &tls.Config{
			ServerName:         d.addr.Host,
			RootCAs:            cfg.RootCAs,
			InsecureSkipVerify: cfg.Insecure,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		}
		if d.addr.http2() {
			d.tls.NextProtos = []string{"h2"}
		}
	}
	return d
}

// dial connects to the target, TLS included, within the dialer's timeout. Its
// failure names cause and target.
func (d *dialer) dial(ctx context.Context) (*conn, *tunnel.Failure) {
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	nc, err := d.reach(limited)
	if err != nil {
		return nil, d.failure(ctx, connectCause(err), err)
	}
	c := newConn(nc)
	if d.tls == nil {
		return c, nil
	}
	if err := d.handshake(limited, c); err != nil {
		c.sock.reset()
		return nil, d.failure(ctx, handshakeCause(err), err)
	}
	return c, nil
}

// failure is why a dial failed; if ctx ended, because nobody waits for it.
func (d *dialer) failure(ctx context.Context, cause tunnel.Cause, err error) *tunnel.Failure {
	if ctx.Err() != nil {
		return tunnel.Fail(tunnel.VisitorGone, context.Cause(ctx))
	}
	if cause == tunnel.TargetConnectTimeout {
		err = fmt.Errorf("%w (after %v)", err, d.timeout)
	}
	f := tunnel.Fail(cause, err)
	f.By, f.NextHop = tunnel.Agent, d.addr.String()
	return f
}

// reach opens the connection below TLS.
func (d *dialer) reach(ctx context.Context) (net.Conn, error) {
	switch {
	case d.addr.Path != "":
		return d.reachUnix(ctx)
	case d.addr.localhost():
		return d.reachLoopback(ctx)
	}
	return d.connect(ctx, "tcp", d.addr.hostPort())
}

func (d *dialer) reachUnix(ctx context.Context) (net.Conn, error) {
	for {
		c, err := d.connect(ctx, "unix", d.addr.Path)
		if err == nil || !isBacklogFull(err) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(backlogPause):
		}
	}
}

// reachLoopback tries both loopback addresses, the one that answered last
// first: servers listen on either, and a resolver may know but one.
func (d *dialer) reachLoopback(ctx context.Context) (net.Conn, error) {
	hosts := [...]string{"::1", "127.0.0.1"}
	first := d.last.Load()
	c, err := d.reachHalf(ctx, hosts[first])
	if err == nil {
		return c, nil
	}
	c, err2 := d.connect(ctx, "tcp", d.at(hosts[1-first]))
	if err2 == nil {
		d.last.Store(1 - first)
		return c, nil
	}
	if weight(err2) > weight(err) {
		return nil, err2
	}
	return nil, err
}

// weight orders errors of connects by how much they say: most is that the
// target was there, least the lack of IPv6.
func weight(err error) int {
	switch connectCause(err) {
	case tunnel.TargetClosed:
		return 3
	case tunnel.TargetRefused:
		return 2
	case tunnel.TargetUnroutable:
		return 0
	}
	return 1
}

// reachHalf connects within half of the time that ctx leaves.
func (d *dialer) reachHalf(ctx context.Context, host string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return d.connect(ctx, "tcp", d.at(host))
}

func (d *dialer) at(host string) string {
	return net.JoinHostPort(host, strconv.Itoa(d.addr.Port))
}

// handshake speaks TLS on c.
func (d *dialer) handshake(ctx context.Context, c *conn) error {
	tc := tls.Client(c.sock, d.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			err = fmt.Errorf("it does not speak TLS: %w", err)
		}
		return fmt.Errorf("TLS handshake with %s: %w", d.addr, err)
	}
	if p := tc.ConnectionState().NegotiatedProtocol; d.addr.http2() && p != "h2" {
		return fmt.Errorf("TLS handshake with %s: it does not offer HTTP/2: share it as https://", d.addr)
	}
	c.Conn, c.tls = tc, tc
	return nil
}
