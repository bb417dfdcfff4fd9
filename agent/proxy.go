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
	"strings"
	"time"
)

// maxProxyHead bounds a proxy's answer to CONNECT.
const maxProxyHead = 64 << 10

// A proxyError is a proxy's refusal to connect.
type proxyError struct {
	proxy  string // host:port
	status int
	wants  string // how it wants to be asked, if it is not as share can; else empty
}

func (e *proxyError) Error() string {
	text := fmt.Sprintf("proxy %s answered CONNECT with %d %s", e.proxy, e.status, http.StatusText(e.status))
	if e.wants != "" {
		text += ": it wants " + e.wants + ", and share knows Basic alone"
	}
	return text
}

// refusal reports whether the proxy would answer the next try alike.
func (e *proxyError) refusal() bool {
	return e.password() || e.status == http.StatusForbidden || e.status == http.StatusMethodNotAllowed
}

// password reports whether the proxy wants one, or another: some say so with
// the status that is a server's.
func (e *proxyError) password() bool {
	return e.status == http.StatusProxyAuthRequired || e.status == http.StatusUnauthorized
}

// hint says what to do about a refusal.
func (e *proxyError) hint() string {
	if e.password() {
		return "put user and password into HTTPS_PROXY, as in http://user:password@" + e.proxy
	}
	return "check HTTPS_PROXY, or exempt the relay with NO_PROXY"
}

// proxyAddr is where a proxy listens.
func proxyAddr(proxy *url.URL) (host, port string) {
	port = proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	return proxy.Hostname(), port
}

// proxyAuthorization is the field with a proxy's user and password, empty if it
// has none (RFC 7617).
func proxyAuthorization(proxy *url.URL) string {
	if proxy.User == nil {
		return ""
	}
	password, _ := proxy.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password))
}

// dialToProxy connects to the proxy itself, over TLS if its URL says so.
func dialToProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, fmt.Errorf("proxy %s: scheme %s is not supported, use http or https", proxy.Host, proxy.Scheme)
	}
	host, port := proxyAddr(proxy)
	conn, err := dialTCP(ctx, host, port)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", net.JoinHostPort(host, port), err)
	}
	if proxy.Scheme == "http" {
		return conn, nil
	}
	tconn := tls.Client(conn, &tls.Config{ServerName: host})
	if err := tconn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("proxy %s: TLS handshake: %w", net.JoinHostPort(host, port), err)
	}
	return tconn, nil
}

// dialProxy connects to addr by CONNECT (RFC 9110 9.3.6). No error holds the
// proxy's password.
func dialProxy(ctx context.Context, proxy *url.URL, addr string) (_ net.Conn, err error) {
	conn, err := dialToProxy(ctx, proxy)
	if err != nil {
		return nil, err
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
	host := net.JoinHostPort(proxyAddr(proxy))
	head := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: share\r\n"
	if a := proxyAuthorization(proxy); a != "" {
		head += "Proxy-Authorization: " + a + "\r\n"
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
		return nil, &proxyError{host, resp.StatusCode, otherScheme(resp)}
	}
	if r.Buffered() > 0 {
		// Whoever stands behind speaks after us, so these are the proxy's.
		return nil, fmt.Errorf("proxy %s: %w", host, errProxyBytes)
	}
	return conn, nil
}

// otherScheme names the ways to authenticate that a proxy offers, if Basic is
// not among them (RFC 9110 11.7.1).
func otherScheme(resp *http.Response) string {
	var names []string
	for _, challenge := range resp.Header.Values("Proxy-Authenticate") {
		name, _, _ := strings.Cut(challenge, " ")
		if strings.EqualFold(name, "Basic") {
			return ""
		}
		names = append(names, name)
	}
	return oneLine(strings.Join(names, ", "))
}

var errProxyBytes = errors.New("bytes behind the answer to CONNECT")
