package agent

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// answerWith is a relay's visitor door: respond gets a probe's nonce and
// returns the whole answer.
func answerWith(respond func(nonce string) string) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		io.WriteString(conn, respond(req.Header.Get(probeField)))
	}
}

func TestNonceIsSingleUse(t *testing.T) {
	var n nonces
	a, b := n.issue(), n.issue()
	if a == b || len(a) != 32 {
		t.Errorf("nonces %q and %q, want two of 128 bits", a, b)
	}
	for _, tt := range []struct {
		nonce string
		want  bool
	}{{"", false}, {"00000000000000000000000000000000", false}, {a, true}, {a, false}, {b, true}} {
		if got := n.redeem([]byte(tt.nonce)); got != tt.want {
			t.Errorf("redeem(%q) = %v, want %v", tt.nonce, got, tt.want)
		}
	}
}

func TestProbe(t *testing.T) {
	cert, pool := newCert(t, "x.localhost")
	p := newProber(&Config{RelayCA: pool, Proxy: func(u *url.URL) (*url.URL, error) {
		t.Errorf("a proxy is asked for %s", u)
		return nil, nil
	}})
	mine := func(nonce string) string {
		if !p.nonces.redeem([]byte(nonce)) {
			t.Errorf("probe came with an unknown nonce %q", nonce)
		}
		return "HTTP/1.1 204 No Content\r\nShare-Probe: " + nonce + "\r\n\r\n"
	}
	_, plain, _ := net.SplitHostPort(listen(t, answerWith(mine)))
	if err := p.verify(t.Context(), "http://x.localhost:"+plain); err != nil {
		t.Errorf("plain: %v", err)
	}
	secure := listen(t, func(conn net.Conn) {
		answerWith(mine)(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
	})
	_, securePort, _ := net.SplitHostPort(secure)
	if err := p.verify(t.Context(), "https://x.localhost:"+securePort); err != nil {
		t.Errorf("TLS: %v", err)
	}
	if len(p.nonces.open) != 0 {
		t.Errorf("%d nonces left open", len(p.nonces.open))
	}
}

func TestProbeTriesAgain(t *testing.T) {
	p := newProber(&Config{})
	tries := 0
	addr := listen(t, answerWith(func(nonce string) string {
		if tries++; tries < 2 {
			return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 204 No Content\r\nShare-Probe: " + nonce + "\r\n\r\n"
	}))
	if err := p.verify(t.Context(), "http://"+addr); err != nil || tries != 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

func TestProbeSaysWhy(t *testing.T) {
	cert, pool := newCert(t, "relay.example")
	secure := listen(t, func(conn net.Conn) {
		answerWith(func(string) string { return "" })(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
	})
	_, port, _ := net.SplitHostPort(secure)
	other := listen(t, answerWith(func(string) string { return "HTTP/1.1 204 No Content\r\nShare-Probe: abc\r\n\r\n" }))
	target := listen(t, answerWith(func(nonce string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nShare-Probe: %s\r\nContent-Length: 0\r\n\r\n", nonce)
	}))
	gone := listen(t, func(conn net.Conn) { conn.Close() })

	tests := []struct {
		name, url string
		roots     *x509.CertPool
		want      string
	}{
		{"another nonce", "http://" + other, nil, "did not see"},
		{"a target that echoes", "http://" + target, nil, "did not see"},
		{"closed", "http://" + gone, nil, "cannot be reached"},
		{"certificate without the name", "https://x.localhost:" + port, pool, "does not cover x.localhost"},
		{"unknown CA", "https://127.0.0.1:" + port, x509.NewCertPool(), "not trusted"},
		{"no URL", "http://%", nil, "no URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProber(&Config{RelayCA: tt.roots})
			err := p.try(t.Context(), tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("try: %v, want one line with %q", err, tt.want)
			}
		})
	}
}
