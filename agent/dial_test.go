package agent

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"share/tunnel"
)

// newCert returns a certificate for names and 127.0.0.1, and the pool of roots
// that trusts it.
func newCert(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     names,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// listen accepts connections on loopback until the test ends, and waits for
// serve to have returned for each; serve owns its connection.
func listen(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	return ln.Addr().String()
}

// echo sends back what it reads.
func echo(conn net.Conn) {
	defer conn.Close()
	io.Copy(conn, conn)
}

// wantEcho fails unless conn goes to an echo.
func wantEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Fatalf("echo gave %q, %v", got, err)
	}
}

func mustRelay(t *testing.T, s string) RelayURL {
	t.Helper()
	u, err := ParseRelay(s, true)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestDialPlain(t *testing.T) {
	addr := listen(t, echo)
	_, port, _ := net.SplitHostPort(addr)
	for _, relay := range []string{"http://" + addr, "http://localhost:" + port, "http://any.localhost:" + port} {
		d := newDialer(&Config{Relay: mustRelay(t, relay), Proxy: func(*url.URL) (*url.URL, error) {
			t.Error("a proxy is asked for on loopback")
			return nil, nil
		}})
		conn, err := d.dial(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", relay, err)
		}
		wantEcho(t, conn)
	}
}

func TestDialTLS(t *testing.T) {
	cert, pool := newCert(t, "localhost")
	serve := func(cfg *tls.Config) string {
		cfg.Certificates = []tls.Certificate{cert}
		return listen(t, func(conn net.Conn) { echo(tls.Server(conn, cfg)) })
	}
	good := serve(&tls.Config{NextProtos: []string{tunnel.ALPN, "http/1.1"}})
	noALPN := serve(&tls.Config{})
	otherALPN := serve(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	oldTLS := serve(&tls.Config{NextProtos: []string{tunnel.ALPN}, MaxVersion: tls.VersionTLS12})
	web := listen(t, func(conn net.Conn) {
		defer conn.Close()
		bufio.NewReader(conn).Peek(1)
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})

	tests := []struct {
		name, addr string
		roots      *x509.CertPool
		notRelay   bool
		untrusted  bool
	}{
		{"good", good, pool, false, false},
		{"another CA", good, x509.NewCertPool(), false, true},
		{"no ALPN", noALPN, pool, true, false},
		{"another ALPN", otherALPN, pool, true, false},
		{"old TLS", oldTLS, pool, true, false},
		{"no TLS", web, pool, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDialer(&Config{Relay: mustRelay(t, "https://"+tt.addr), RelayCA: tt.roots})
			conn, err := d.dial(t.Context())
			_, untrusted := errors.AsType[*errUntrusted](err)
			if errors.Is(err, tunnel.ErrNotRelay) != tt.notRelay || untrusted != tt.untrusted {
				t.Fatalf("dial: %v; want not a relay %v, untrusted %v", err, tt.notRelay, tt.untrusted)
			}
			if tt.notRelay || tt.untrusted {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v := conn.(*tls.Conn).ConnectionState().Version; v != tls.VersionTLS13 {
				t.Errorf("TLS version %x, want 1.3", v)
			}
			wantEcho(t, conn)
		})
	}
	t.Run("wrong name", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(good)
		d := newDialer(&Config{Relay: mustRelay(t, "https://other.localhost:"+port), RelayCA: pool})
		_, err := d.dial(t.Context())
		if _, ok := errors.AsType[*errUntrusted](err); !ok {
			t.Fatalf("dial: %v, want an errUntrusted", err)
		}
	})
}

func TestDialEndsWithContext(t *testing.T) {
	silent := make(chan struct{})
	addr := listen(t, func(conn net.Conn) { <-silent; conn.Close() })
	defer close(silent)
	proxy := &url.URL{Scheme: "http", Host: addr}
	for name, d := range map[string]*dialer{
		"TLS":   newDialer(&Config{Relay: mustRelay(t, "https://"+addr)}),
		"proxy": newDialer(&Config{Relay: mustRelay(t, "https://relay.example"), Proxy: func(*url.URL) (*url.URL, error) { return proxy, nil }}),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		conn, err := d.dial(ctx)
		cancel()
		if err == nil {
			conn.Close()
			t.Errorf("%s: dial of a silent peer succeeded", name)
		}
	}
}

func TestDialProxy(t *testing.T) {
	cert, pool := newCert(t, "relay.example")
	relay := listen(t, func(conn net.Conn) {
		echo(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{tunnel.ALPN}}))
	})
	var mu sync.Mutex
	var asked []string
	proxy := listen(t, func(conn net.Conn) {
		defer conn.Close()
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		mu.Lock()
		asked = append(asked, req.Method+" "+req.RequestURI+" "+req.Host+" "+req.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		switch req.URL.Hostname() {
		case "auth.example":
			io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno\n")
			return
		case "chatty.example":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello")
			return
		case "garbage.example":
			io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
			return
		}
		up, err := net.Dial("tcp", relay)
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
		go func() { io.Copy(up, conn); up.(*net.TCPConn).CloseWrite() }() // ends with conn
		io.Copy(conn, up)
	})

	newProxied := func(host, user string) *dialer {
		return newDialer(&Config{Relay: mustRelay(t, host), RelayCA: pool, Proxy: func(u *url.URL) (*url.URL, error) {
			if u.Scheme != "https" {
				t.Errorf("asked for a proxy of %s, want https", u)
			}
			return url.Parse("http://" + user + proxy)
		}})
	}
	conn, err := newProxied("relay.example", "u:pass%20word@").dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, conn)
	mu.Lock()
	if want := "CONNECT relay.example:443 relay.example:443 Basic dTpwYXNzIHdvcmQ="; len(asked) != 1 || asked[0] != want {
		t.Errorf("proxy saw %q, want %q", asked, want)
	}
	mu.Unlock()

	for host, want := range map[string]string{
		"https://auth.example":    "407",
		"https://chatty.example":  errProxyBytes.Error(),
		"https://garbage.example": "read CONNECT's answer",
	} {
		conn, err := newProxied(host, "u:secret@").dial(t.Context())
		if err == nil {
			conn.Close()
			t.Errorf("%s: dial succeeded", host)
			continue
		}
		if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "secret") || strings.Contains(text, "\n") {
			t.Errorf("%s: %q, want one line with %q and no password", host, text, want)
		}
	}
	d := newDialer(&Config{Relay: mustRelay(t, "relay.example"), Proxy: func(*url.URL) (*url.URL, error) {
		return &url.URL{Scheme: "socks5", Host: proxy}, nil
	}})
	if _, err := d.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "socks5") {
		t.Errorf("socks5: %v, want that it is not supported", err)
	}
}
