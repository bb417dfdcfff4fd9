package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxProxyHead bounds a proxy's answer to CONNECT.
const maxProxyHead = 64 << 10

// A proxyError is a proxy's refusal to connect.
type proxyError struct {
	proxy  string // host:port
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("proxy %s answered CONNECT with %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// refusal reports whether the proxy would answer the next try alike.
func (e *proxyError) refusal() bool {
	return e.status == http.StatusProxyAuthRequired || e.status == http.StatusForbidden || e.status == http.StatusMethodNotAllowed
}

// dialProxy connects to addr by CONNECT (RFC 9110 9.3.6). No error holds the
// proxy's password.
func dialProxy(ctx context.Context, proxy *url.URL, addr string) (_ net.Conn, err error) {
	port := proxy.Port()
	switch {
	case proxy.Scheme != "http" && proxy.Scheme != "https":
		return nil, fmt.Errorf("proxy %s: scheme %s is not supported, use http or https", proxy.Host, proxy.Scheme)
	case port == "" && proxy.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	host := net.JoinHostPort(proxy.Hostname(), port)
	conn, err := dialTCP(ctx, proxy.Hostname(), port)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", host, err)
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx) // the deadline may stand
		}
	}()
	if proxy.Scheme == "https" {
		tconn := tls.Client(conn, &tls.Config{ServerName: proxy.Hostname()})
		if err := tconn.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("proxy %s: TLS handshake: %w", host, err)
		}
		conn = tconn
	}
	head := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, fmt.Errorf("proxy %s: write CONNECT: %w", host, err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxProxyHead))
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("proxy %s: read CONNECT's answer: %w", host, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &proxyError{host, resp.StatusCode}
	}
	if r.Buffered() > 0 {
		// Whoever stands behind speaks after us, so these are the proxy's.
		return nil, fmt.Errorf("proxy %s: %w", host, errProxyBytes)
	}
	return conn, nil
}

var errProxyBytes = errors.New("bytes behind the answer to CONNECT")
