package target

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"share/tunnel"
)

// certificate makes a self-signed certificate for 127.0.0.1 and test.example.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		DNSNames:              []string{"test.example"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
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

// secureServer is a server whose connections are *tls.Conn after the handshake.
type secureServer struct {
	*server
	roots *x509.CertPool
}

func serveTLS(t testing.TB, handle func(net.Conn), cfg *tls.Config) *secureServer {
	t.Helper()
	cert, roots := certificate(t)
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.Certificates = []tls.Certificate{cert}
	s := serve(t, func(c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			handle(tc)
		}
	})
	return &secureServer{s, roots}
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func TestSecureTarget(t *testing.T) {
	for name, version := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			var sni, alpn string
			s := serveTLS(t, func(c net.Conn) {
				state := c.(*tls.Conn).ConnectionState()
				sni, alpn = state.ServerName, state.NegotiatedProtocol
				replies(ok)(c)
			}, &tls.Config{MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
			r := newRig(t, "https://"+s.addr, Config{RootCAs: s.roots})
			r.target.probe(t.Context()) // its tickets lie unread until the first exchange
			for range 5 {
				if a := r.get("/"); a.err != nil || a.body != "ok" {
					t.Fatalf("%+v", a)
				}
				r.next()
			}
			if n := s.accepted(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			if sni != "" || alpn != "http/1.1" {
				t.Errorf("SNI %q, ALPN %q", sni, alpn)
			}
		})
	}
}

func TestServerName(t *testing.T) {
	names := make(chan string, 1)
	s := serveTLS(t, func(c net.Conn) {
		h, _ := head(bufio.NewReader(c))
		names <- c.(*tls.Conn).ConnectionState().ServerName + " " + h
		io.WriteString(c, ok)
	}, nil)
	a, err := Parse("https://test.example")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "", Config{Address: a, RootCAs: s.roots, HostHeader: HostTarget})
	dial := r.target.dialer.connect
	r.target.dialer.connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "test.example:443" {
			t.Errorf("dials %s", addr)
		}
		return dial(ctx, network, s.addr)
	}
	if a := r.get("/"); a.err != nil || a.body != "ok" {
		t.Fatalf("%+v", a)
	}
	if got, want := await(t, names, "the request"), "test.example GET / HTTP/1.1\r\nHost: test.example\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInsecure(t *testing.T) {
	s := serveTLS(t, replies(ok), nil)
	r := newRig(t, "https://"+s.addr, Config{Insecure: true})
	if a := r.get("/"); a.err != nil || a.body != "ok" {
		t.Fatalf("%+v", a)
	}
}

// A close-delimited body is whole only with close_notify, even if TCP ends
// between two records.
func TestCloseNotify(t *testing.T) {
	for _, body := range []string{"", "hello", strings.Repeat("x", 100_000)} {
		for name, version := range tlsVersions {
			for _, notify := range []bool{true, false} {
				end := map[bool]string{true: " close_notify", false: " FIN"}[notify]
				t.Run(name+end, func(t *testing.T) {
					s := serveTLS(t, func(c net.Conn) {
						head(bufio.NewReader(c))
						io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+body)
						if notify {
							c.Close()
						} else {
							c.(*tls.Conn).NetConn().Close()
						}
					}, &tls.Config{MaxVersion: version})
					r := newRig(t, "https://"+s.addr, Config{RootCAs: s.roots})
					a := r.get("/")
					switch {
					case notify && (a.err != nil || a.status != 200 || a.body != body):
						t.Errorf("%d, %d bytes, %v", a.status, len(a.body), a.err)
					case !notify && a.err != nil:
						cut(t, a, tunnel.TargetIncomplete)
					case !notify:
						failed(t, a, tunnel.TargetIncomplete)
					}
				})
			}
		}
	}
}

// Framed bodies are whole without close_notify.
func TestFramedWithoutCloseNotify(t *testing.T) {
	s := serveTLS(t, func(c net.Conn) {
		head(bufio.NewReader(c))
		io.WriteString(c, ok)
		c.(*tls.Conn).NetConn().Close()
	}, nil)
	r := newRig(t, "https://"+s.addr, Config{RootCAs: s.roots})
	for range 2 {
		if a := r.get("/"); a.err != nil || a.body != "ok" {
			t.Fatalf("%+v", a)
		}
		r.next()
	}
}

// A target that wants a certificate says so only after the handshake.
func TestClientCertificateWanted(t *testing.T) {
	s := serveTLS(t, replies(ok), &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	r := newRig(t, "https://"+s.addr, Config{RootCAs: s.roots})
	failed(t, r.get("/"), tunnel.TargetTLS)
}
