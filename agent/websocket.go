package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"share/tunnel"
	"share/tunnel/nbio"
	"share/tunnel/websock"
)

// dialSocket connects by WebSocket: over TLS as a browser would, in plain as a
// request to the proxy, if there is one.
func (d *dialer) dialSocket(ctx context.Context) (net.Conn, error) {
	proxy, err := d.chooseProxy()
	if err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(d.relay.String(), "://")
	r := websock.Request{Host: host, Path: tunnel.ConnectPath}
	var conn net.Conn
	if proxy != nil && d.relay.Plain {
		r.Proxied, r.ProxyAuthorization = true, proxyAuthorization(proxy)
		conn, err = dialToProxy(ctx, proxy)
	} else {
		conn, err = d.connect(ctx)
	}
	if err != nil {
		return nil, err
	}
	conn = nbio.New(conn)
	if !d.relay.Plain {
		tconn := tls.Client(conn, d.web)
		if err := tconn.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("TLS handshake: %w", tlsError(err))
		}
		conn = tconn
	}
	ws, err := websock.Dial(ctx, conn, r)
	if err != nil {
		return nil, socketError(err)
	}
	return ws, nil
}

// socketError tells from a failed WebSocket whether a relay can be there.
func socketError(err error) error {
	if errors.Is(err, websock.ErrHandshake) {
		return fmt.Errorf("%w: %w", err, tunnel.ErrNotRelay)
	}
	status, ok := errors.AsType[*websock.StatusError](err)
	if !ok {
		return err
	}
	switch status.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err // as a front says whose relay is away, or a relay that stops
	}
	return fmt.Errorf("%w: %w", err, tunnel.ErrNotRelay)
}

// issuer names who signed the certificate that a WebSocket's server has shown;
// empty in plain.
func issuer(conn net.Conn) string {
	ws, ok := conn.(*websock.Conn)
	if !ok {
		return ""
	}
	tconn, ok := ws.NetConn().(*tls.Conn)
	if !ok {
		return ""
	}
	certs := tconn.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return ""
	}
	name := certs[0].Issuer
	return cmp.Or(name.CommonName, name.String(), "nobody by name")
}
