package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

const (
	// dialTimeout bounds one attempt, from the name's resolution to the end
	// of the TLS handshake, or of a WebSocket's.
	dialTimeout = 10 * time.Second

	// linkPatience bounds a TLS handshake that names our protocol, until a
	// relay was met: what does not let that pass may just be silent, and
	// another way is left.
	linkPatience = 5 * time.Second
)

// dialer makes connections to one relay, each ready for a preface.
type dialer struct {
	relay    RelayURL
	hook     func(context.Context) (net.Conn, error) // in place of all else, if not nil
	tls      *tls.Config
	web      *tls.Config // beneath a WebSocket
	proxy    func(*url.URL) (*url.URL, error)
	patience time.Duration
	last     atomic.Uint32 // the way by which the relay was last met
	proven   atomic.Bool   // it was met
	silences int           // how often reach has failed since, for want of an answer; owned by its caller
}

func newDialer(cfg *Config) *dialer {
	d := &dialer{
		relay: cfg.Relay,
		hook:  cfg.Dial,
		proxy: cfg.Proxy,
		tls: &tls.Config{
			ServerName:         cfg.Relay.Host,
			RootCAs:            cfg.RelayCA,
			NextProtos:         []string{tunnel.ALPN},
			MinVersion:         tls.VersionTLS13,
			ClientSessionCache: tls.NewLRUClientSessionCache(8), // the lanes of one session
		},
		patience: linkPatience,
	}
	d.web = d.tls.Clone()
	d.web.NextProtos = []string{"http/1.1"}
	d.web.MinVersion = tls.VersionTLS12 // a front may have no other
	d.web.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	return d
}

// dial connects by the way that last led to the relay. An error that has
// tunnel.ErrNotRelay or an errUntrusted in its chain means that something
// answered, but not the relay.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	if d.hook != nil {
		return d.hook(ctx)
	}
	return d.dialBy(ctx, way(d.last.Load()))
}

func (d *dialer) dialBy(ctx context.Context, w way) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if w == waySocket {
		return d.dialSocket(ctx)
	}
	return d.dialLink(ctx)
}

// dialLink connects without anything between the protocol and TLS, or TCP.
func (d *dialer) dialLink(ctx context.Context) (net.Conn, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	conn = nbio.New(conn)
	if d.relay.Plain {
		return conn, nil
	}
	if !d.proven.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.patience)
		defer cancel()
	}
	tconn := tls.Client(conn, d.tls)
	if err := tconn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", tlsError(err))
	}
	if tconn.ConnectionState().NegotiatedProtocol != tunnel.ALPN {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake: no %s: %w", tunnel.ALPN, tunnel.ErrNotRelay)
	}
	return tconn, nil
}

// chooseProxy returns the proxy to the relay, nil if there is none. The relay's
// bytes are not HTTP, so a proxy can only pass them by CONNECT: what is
// configured for https is meant, TLS or not.
func (d *dialer) chooseProxy() (*url.URL, error) {
	if d.proxy == nil || d.relay.Loopback() {
		return nil, nil
	}
	proxy, err := d.proxy(&url.URL{Scheme: "https", Host: d.relay.hostport()})
	if err != nil {
		return nil, fmt.Errorf("choose proxy: %w", err)
	}
	return proxy, nil
}

// connect opens the TCP connection, through a proxy if there is one to use.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	proxy, err := d.chooseProxy()
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		return dialProxy(ctx, proxy, d.relay.hostport())
	}
	return dialTCP(ctx, d.relay.Host, d.relay.Port)
}

// dialTCP connects to host, which is this machine for localhost and the names
// under it, whatever a resolver says.
func dialTCP(ctx context.Context, host, port string) (net.Conn, error) {
	var d net.Dialer
	if !isLocalhost(host) {
		return d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		if conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); err == nil {
			return conn, nil
		}
	}
	return conn, err
}

// errUntrusted is a certificate that does not show who answered.
type errUntrusted struct{ err error }

func (e *errUntrusted) Error() string { return e.err.Error() }
func (e *errUntrusted) Unwrap() error { return e.err }

// Alerts of a server that is TLS but no relay (RFC 8446 6.2, RFC 7301 3.2).
const (
	alertProtocolVersion       = 70
	alertNoApplicationProtocol = 120
)

// tlsError tells from a failed handshake whether a relay can be there.
func tlsError(err error) error {
	var (
		record  tls.RecordHeaderError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("the answer is not TLS: %w", tunnel.ErrNotRelay)
	case errors.As(err, &host), errors.As(err, &unknown):
		return &errUntrusted{err}
	}
	switch remoteAlert(err) {
	case alertProtocolVersion, alertNoApplicationProtocol:
		return fmt.Errorf("%w: %w", err, tunnel.ErrNotRelay)
	}
	// Another alert may be a relay in trouble. A certificate out of its time
	// may be the clock's fault, and is often renewed soon. Both are worth
	// another try, as a broken connection is.
	return err
}

// remoteAlert returns the alert that the server sent, or 0. Package tls gives
// it as a type of its own, a byte, that it does not export.
func remoteAlert(err error) uint64 {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return v.Uint()
	}
	return 0
}
