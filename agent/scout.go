package agent

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// A Scout goes the ways to a relay without sharing anything, to show which of them
// lead there.
type Scout struct{ loop *loop }

// NewScout returns a Scout for the Relay of a Config, as an agent with that would
// reach it. It opens no connection.
func NewScout(cfg Config) *Scout {
	return &Scout{&loop{cfg: cfg, dialer: newDialer(&cfg)}}
}

// Proxy returns the proxy that leads to the relay, nil if there is none.
func (l *Scout) Proxy() (*url.URL, error) { return l.loop.dialer.chooseProxy() }

// Connect opens the TCP connection to the relay, through the proxy if there is
// one. The caller closes it.
func (l *Scout) Connect(ctx context.Context) (net.Conn, error) { return l.loop.dialer.connect(ctx) }

// Socket opens a WebSocket to the relay, over TLS if that is not spoken to in
// plain. It shows no token. The caller closes it.
func (l *Scout) Socket(ctx context.Context) (net.Conn, error) {
	return l.loop.dialer.dialBy(ctx, waySocket)
}

// Session opens a session by the first way that leads to the relay, which via names
// if it is not the usual one; warning is then what the user should know. The caller
// serves the session, or closes it.
func (l *Scout) Session(ctx context.Context) (s *tunnel.Session, via, warning string, err error) {
	hello, err := l.loop.hello(ctx)
	if err != nil {
		return nil, "", "", err
	}
	p, err := l.loop.dialer.reach(ctx, func(conn net.Conn) (err error) {
		s, err = tunnel.Connect(ctx, conn, hello)
		return err
	})
	return s, p.via(), p.warning(), err
}

// Explain says what an error of a Scout means, and what to do.
func (l *Scout) Explain(err error) *cmdline.Error {
	if e := l.loop.verdict(err, false); e != nil {
		return e
	}
	e := &cmdline.Error{Code: cmdline.ExitUnreached, Message: reason(err), Hint: "start the relay, or check --relay and the network", Err: err}
	if proxy, perr := l.Proxy(); perr == nil && proxy != nil {
		e.Message, e.Hint = oneLine(err.Error()), fmt.Sprintf("check HTTPS_PROXY and the proxy %s, or exempt the relay with NO_PROXY", proxy.Host)
	}
	return e
}

// Visitor returns a client that reaches the relay's public URLs as visitors on this
// machine do. It keeps no connections.
func (l *Scout) Visitor() *http.Client { return newProber(&l.loop.cfg).client }
