package relay

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"share/relay/acme"
	"share/relay/route"
	"share/testdata/pebble"
	"share/tunnel"
)

// A certified is a relay with a CA.
type certified struct {
	*serving
	ca    *pebble.CA
	roots *x509.CertPool
}

// certify runs a relay that can prove hosts to a CA at its own doors alone: over
// HTTP at the door of a kind, none if that is empty, or by a handshake. All hosts
// have the address of this machine.
func certify(t *testing.T, cfg Config, overHTTP string, byHandshake bool) *certified {
	t.Helper()
	dns := &pebble.Resolver{Hosts: map[string]string{"share.test": "127.0.0.1", "web.share.test": "127.0.0.1", "app.acme.test": "127.0.0.1"}}
	resolver, err := dns.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	kinds := []string{doorHTTP, doorHTTPS, doorRedirect}
	doors := make([]Door, len(kinds))
	ports := make(map[string]int)
	for i, kind := range kinds {
		ln, err := listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[kind] = ln.Addr().(*net.TCPAddr).Port
		doors[i] = Door{Listener: ln, Kind: kind, Redirect: kind == doorRedirect}
	}
	const nobody = 1 // a port at which nobody listens
	ports[""] = nobody
	if !byHandshake {
		ports[doorHTTPS] = nobody
	}
	c := &certified{roots: x509.NewCertPool()}
	if c.ca, err = pebble.Start(pebble.Config{Resolver: resolver, HTTPPort: ports[overHTTP], TLSPort: ports[doorHTTPS]}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ca.Close() })
	c.roots.AppendCertsFromPEM(c.ca.Root)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(c.ca.Identity.PEM)
	log := &lines{}
	if cfg.ACME, err = acme.New(acme.Config{Domain: "share.test", Directory: c.ca.URL, Roots: trusted, Logger: newLogger(log)}); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ACME.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	doors[1].Certificate = cfg.ACME
	cfg.Domain = "share.test"
	c.serving = serveAt(t, cfg, doors...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", log, c.log)
		}
	})
	return c
}

// visit shakes hands for a host, and checks the certificate that it is shown.
func (c *certified) visit(host string) (*tls.Conn, error) {
	nc, err := net.Dial("tcp", c.addrs[doorHTTPS])
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(2 * patience))
	tc := tls.Client(nc, &tls.Config{ServerName: host, RootCAs: c.roots})
	if err := tc.Handshake(); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// A host whose name an agent holds has a certificate when it is first asked
// for, by either way of proof; and the domain has one.
func TestCertificateOnDemand(t *testing.T) {
	tests := []struct {
		about, overHTTP string
		byHandshake     bool
	}{
		{"over HTTP", doorRedirect, false},
		{"over HTTP, where visitors are served", doorHTTP, false},
		{"by a handshake", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			c := certify(t, Config{}, tt.overHTTP, tt.byHandshake)
			if _, err := c.visit("web.share.test"); err == nil {
				t.Error("a name that nobody holds has a certificate")
			}
			c.agent("web", say("hello"))
			var conn *tls.Conn
			until(t, "a handshake", func() bool {
				var err error
				conn, err = c.visit("web.share.test")
				return err == nil
			})
			defer conn.Close()
			if resp, body := get(t, conn, "web.share.test"); resp.StatusCode != 200 || body != "hello" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if resp, _ := get(t, conn, "share.test"); resp.StatusCode != 421 {
				t.Errorf("a host that the certificate is not for: %d", resp.StatusCode)
			}
			until(t, "a handshake for the domain", func() bool {
				conn, err := c.visit("share.test")
				if err != nil {
					return false
				}
				return conn.Close() == nil
			})
		})
	}
}

// A name has a certificate while its agent moves over from the process before: its
// visitors, who are to wait, would come to nothing.
func TestCertificateOfExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Domain: "share.test"})
		if err != nil {
			t.Fatal(err)
		}
		agent := new(tunnel.Session)
		web, err := r.names.Bind(t.Context(), route.Claim{Name: "web", Holder: "one", Session: agent})
		if err != nil {
			t.Fatal(err)
		}
		want := func(when string, want acme.Want) {
			t.Helper()
			if got := r.certifies("web.share.test"); got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		want("held", acme.Obtain)
		r.names.Unbind(web, agent)
		want("left", acme.Show)
		r.names.Expect([]route.Held{{Name: "web", Holder: "one"}}, agentPatience)
		want("expected", acme.Obtain)
		time.Sleep(agentPatience)
		synctest.Wait()
		want("not expected any more", acme.Show)
	})
}

// 10,000 handshakes for hosts that nobody holds are refused so that visitors
// can tell, and start no order.
func TestRandomHosts(t *testing.T) {
	c := certify(t, Config{}, doorRedirect, true)
	until(t, "a handshake for the domain", func() bool {
		conn, err := c.visit("share.test")
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	before := c.ca.Orders()
	const handshakes, at = 10_000, 8
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for i := range at {
		wg.Go(func() {
			for j := range handshakes / at {
				host := fmt.Sprintf("x%d-%d.share.test", i, j)
				if j%2 == 0 {
					host = fmt.Sprintf("x%d-%d.other.test", i, j)
				}
				if _, err := c.visit(host); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d handshakes are not refused as they should be", wrong.Load())
	}
	if after := c.ca.Orders(); after != before {
		t.Errorf("there are %d orders more", after-before)
	}
	if !c.log.line("handshake refused", "other.test", "nobody holds the name") {
		t.Error("the log does not say why")
	}
}
