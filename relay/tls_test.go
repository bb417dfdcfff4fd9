package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// ask asks for hosts over one connection, in HTTP/2 if that was agreed on, and
// returns the last answer. The connection is of no use then.
func ask(t *testing.T, tc *tls.Conn, hosts ...string) (status int, body string) {
	t.Helper()
	left := []net.Conn{tc}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if len(left) == 0 {
				return nil, errors.New("the connection takes no other request")
			}
			conn := left[0]
			left = nil
			return conn, nil
		},
	}
	defer transport.CloseIdleConnections()
	for _, host := range hosts {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://share.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want := tc.ConnectionState().NegotiatedProtocol == "h2"; want != (resp.ProtoMajor == 2) {
			t.Fatalf("the answer is in %s", resp.Proto)
		}
		status, body = resp.StatusCode, string(text)
	}
	return status, body
}

// A browser is a TLS client that keeps its sessions.
type browser struct {
	t      *testing.T
	config *tls.Config
}

func newBrowser(t *testing.T, version uint16, protocol string) *browser {
	return &browser{t, &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         "share.test",
		MinVersion:         version, MaxVersion: version,
		NextProtos:         []string{protocol},
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}}
}

// anew returns a browser of the same kind that has no session yet.
func (b *browser) anew() *browser {
	return newBrowser(b.t, b.config.MaxVersion, b.config.NextProtos[0])
}

// visit connects and fails the test unless the session is resumed, or not.
func (b *browser) visit(addr string, resumed bool) *tls.Conn {
	b.t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	tc := tls.Client(nc, b.config)
	if err := tc.Handshake(); err != nil {
		b.t.Fatal(err)
	}
	if got := tc.ConnectionState().DidResume; got != resumed {
		b.t.Fatalf("resumed: %v, want %v", got, resumed)
	}
	return tc
}

// eachBrowser runs a test for both versions of TLS and of HTTP.
func eachBrowser(t *testing.T, test func(*testing.T, *browser)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			t.Run(tls.VersionName(version)+" "+protocol, func(t *testing.T) { test(t, newBrowser(t, version, protocol)) })
		}
	}
}

// replace writes new files for names, which are used from now on.
func replace(t *testing.T, c *Certificate, dir string, names ...string) {
	t.Helper()
	old := c.current()
	writePair(t, dir, names...)
	c.mu.Lock()
	later := time.Until(c.stamp[0]) + time.Hour
	c.mu.Unlock()
	touch(t, c, later)
	if due(c); c.current() == old {
		t.Fatal("the new files are not used")
	}
}

// follow returns a Certificate for names and the folder of its files.
func follow(t *testing.T, names ...string) (c *Certificate, dir string) {
	t.Helper()
	dir = t.TempDir()
	c, err := LoadCertificate(writePair(t, dir, names...))
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// A host is refused when the certificate does not cover it, and then only:
// with each version, with a new session and a resumed one, whatever came before
// on the connection.
func TestMisdirected(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test", "*.share.test", "alias.test"), doorHTTPS)
	wants := map[string]int{
		"share.test": 200, "SHARE.test:99": 200,
		"x.share.test": 404, "alias.test": 404, // covered, and nobody's
		"a.x.share.test": 421, "other.test": 421, "127.0.0.1": 421,
	}
	eachBrowser(t, func(t *testing.T, b *browser) {
		for i := range 2 {
			tc := b.visit(s.addrs[doorHTTPS], i > 0)
			if status, _ := ask(t, tc, "share.test"); status != 200 {
				t.Errorf("got %d, want 200", status)
			}
		}
		for host, want := range wants {
			for _, before := range []string{"share.test", "other.test"} {
				if status, _ := ask(t, b.visit(s.addrs[doorHTTPS], true), before, host); status != want {
					t.Errorf("%s after %s: got %d, want %d", host, before, status, want)
				}
			}
		}
	})
}

// It is the certificate of the visitor's own door that counts.
func TestMisdirectedAtEachDoor(t *testing.T) {
	var doors []Door
	for _, kind := range []string{"one", "two"} {
		addresses := Addresses{HTTPS: "127.0.0.1:0", Certificate: newCertificate(t, "share.test", kind+".test")}
		listened, err := addresses.Listen()
		if err != nil {
			t.Fatal(err)
		}
		listened[0].Kind = kind
		doors = append(doors, listened...)
	}
	s := serveAt(t, Config{Domain: "share.test"}, doors...)
	eachBrowser(t, func(t *testing.T, b *browser) {
		for kind, wants := range map[string]map[string]int{
			"one": {"share.test": 200, "one.test": 404, "two.test": 421},
			"two": {"share.test": 200, "one.test": 421, "two.test": 404},
		} {
			for host, want := range wants {
				if status, _ := ask(t, b.anew().visit(s.addrs[kind], false), host); status != want {
					t.Errorf("%s at door %s: got %d, want %d", host, kind, status, want)
				}
			}
		}
	})
}

// A connection goes by what it was shown, whatever is shown to others since.
func TestMisdirectedAfterReload(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b *browser) {
		c, dir := follow(t, "share.test", "old.test")
		s := serve(t, Config{Domain: "share.test"}, c, doorHTTPS)
		before := []*tls.Conn{b.anew().visit(s.addrs[doorHTTPS], false), b.anew().visit(s.addrs[doorHTTPS], false)}
		replace(t, c, dir, "share.test", "new.test")
		for i, want := range []struct {
			host   string
			status int
		}{{"old.test", 404}, {"new.test", 421}} {
			if status, _ := ask(t, before[i], want.host); status != want.status {
				t.Errorf("%s, shown before: got %d, want %d", want.host, status, want.status)
			}
		}
		for host, want := range map[string]int{"old.test": 421, "new.test": 404} {
			if status, _ := ask(t, b.anew().visit(s.addrs[doorHTTPS], false), host); status != want {
				t.Errorf("%s, shown since: got %d, want %d", host, status, want)
			}
		}
	})
}

// A session is resumed after its certificate was renewed, time and again; with
// a certificate for other names it begins anew.
func TestTicketsAcrossReload(t *testing.T) {
	eachBrowser(t, func(t *testing.T, b *browser) {
		c, dir := follow(t, "share.test", "old.test")
		s := serve(t, Config{Domain: "share.test"}, c, doorHTTPS)
		visit := func(resumed bool, wants map[string]int) {
			t.Helper()
			for host, want := range wants {
				tc := b.visit(s.addrs[doorHTTPS], resumed)
				resumed = true
				if status, _ := ask(t, tc, "share.test", host); status != want {
					t.Errorf("%s: got %d, want %d", host, status, want)
				}
			}
		}
		visit(false, map[string]int{"old.test": 404, "new.test": 421})
		for range 2 {
			replace(t, c, dir, "old.test", "share.test") // in whatever order
			visit(true, map[string]int{"old.test": 404, "new.test": 421})
		}
		replace(t, c, dir, "share.test", "new.test")
		visit(false, map[string]int{"old.test": 421, "new.test": 404})
	})
}

// Nothing below TLS 1.2 is spoken.
func TestOldestTLS(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test"), doorHTTPS)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
		err := tls.Client(s.dial(doorHTTPS), config).Handshake()
		if taken := version >= tls.VersionTLS12; taken != (err == nil) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// A ticket of a relay that runs no more, or of no relay, is passed over.
func TestTicketsOfAnother(t *testing.T) {
	certificate := newCertificate(t, "share.test")
	eachBrowser(t, func(t *testing.T, b *browser) {
		for range 2 {
			s := serve(t, Config{Domain: "share.test"}, certificate, doorHTTPS)
			if status, _ := ask(t, b.visit(s.addrs[doorHTTPS], false), "share.test"); status != 200 {
				t.Errorf("got %d", status)
			}
		}
	})
}
