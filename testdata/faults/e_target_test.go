package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificate makes a key and a certificate for localhost and its names.
func (r *run) certificate() (tls.Certificate, string, string) {
	r.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "*.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		r.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.Fatal(err)
	}
	dir := r.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(keyFile, keyPEM, 0o600); err != nil {
		r.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		r.Fatal(err)
	}
	return cert, certFile, keyFile
}

// forwardedTargets are the targets behind TLS.
func forwardedTargets() []fault {
	const closing = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	const insecure = "--insecure-target"
	secure := func(r *run, text string, notify bool, release <-chan struct{}, args []string) *tunnel {
		cert, _, _ := r.certificate()
		target := r.listen(r.free(), underTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, func(c *conn, tc *tls.Conn) {
			m := c.request()
			c.say(text)
			if m.path() == "/seen" {
				c.await(release)
			}
			if notify {
				tc.CloseWrite()
			}
		}))
		return r.open(setup{addr: "https://" + target.addr(), args: args})
	}
	answered := func(text string, notify bool, want func(*tunnel, *message), args ...string) func(*run) {
		return func(r *run) {
			t := secure(r, text, notify, nil, args)
			want(t, t.get("/"))
		}
	}
	cut := func(proto string) func(*run) {
		return func(r *run) {
			release := make(chan struct{})
			t := secure(r, closing+part, false, release, []string{insecure})
			t.wantCut(t.ask(request{proto: proto}), part, "target_incomplete")
			m := t.broken(request{proto: proto, path: "/seen", within: 5 * time.Second}, part, func() { close(release) })
			t.wantCut(m, part, "target_incomplete")
		}
	}
	return []fault{
		{"X640", "https target", answered(ok, true, passes(200, "hello"), insecure)},
		{"X641", "https target with a length and no close_notify", answered(ok, false, passes(200, "hello"), insecure)},
		{"X642", "https target close-delimited", answered(closing+part, true, passes(200, part), insecure)},
		{"X643", "https target close-delimited without close_notify", cut("HTTP/1.1")},
		{"X644", "https target close-delimited without close_notify HTTP 1.0 visitor", cut("HTTP/1.0")},
		{"X645", "https target close-delimited without close_notify HTTP 2 visitor", cut("h2")},
		{"X646", "https target whose certificate is not trusted", answered(ok, true, func(t *tunnel, m *message) {
			t.wantFailure(m, "target_tls")
			if ps := m.get("Proxy-Status"); !strings.Contains(ps, "tls_certificate_error") {
				t.Errorf("Proxy-Status %q, want tls_certificate_error", ps)
			}
		})},
		{"X647", "https target that speaks no TLS", func(r *run) {
			target := r.listen(r.free(), then("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			t := r.open(setup{addr: "https://" + target.addr(), args: []string{insecure}})
			m := t.get("/")
			t.wantFailure(m, "target_tls")
			if ps := m.get("Proxy-Status"); !strings.Contains(ps, "tls_protocol_error") {
				t.Errorf("Proxy-Status %q, want tls_protocol_error", ps)
			}
		}},
		{"X648", "https target that is silent in the handshake", func(r *run) {
			target := r.listen(r.free(), func(c *conn) { c.gone(time.Minute) })
			t := r.open(setup{addr: "https://" + target.addr(), args: []string{insecure, "--connect-timeout", "1s"}})
			t.wantFailure(t.ask(request{within: 8 * time.Second}), "target_tls", "target_connect_timeout")
		}},
		{"X649", "https target that closes in the handshake", func(r *run) {
			target := r.listen(r.free(), func(c *conn) { c.Read(make([]byte, 16)) })
			t := r.open(setup{addr: "https://" + target.addr(), args: []string{insecure}})
			t.wantFailure(t.get("/"), "target_tls", "target_closed")
		}},
	}
}
