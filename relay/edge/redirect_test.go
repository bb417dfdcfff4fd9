package edge

import (
	"net"
	"strings"
	"testing"

	"share/tunnel"
)

// redirecting returns a stub and the address where visitors are redirected.
func redirecting(t *testing.T) (s *stub, addr string) {
	t.Helper()
	s = newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "target") }, func(cfg *Config) {
		cfg.Elsewhere = func(host []byte) string {
			if string(host) == "x.test" {
				return "https://x.test:8443"
			}
			return ""
		}
		cfg.Proof = func(path string) (string, bool) { return "a proof", path == "/.well-known/acme-challenge/proof" }
	})
	return s, s.door(func(nc net.Conn) { s.Redirect(nc, nil) })
}

func dialVisitor(t *testing.T, addr string) *rawVisitor {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return visitorOn(t, nc)
}

// Whatever is asked, the target goes along byte for byte, and what is answered
// is no failure. Nothing reaches a tunnel.
func TestRedirect(t *testing.T) {
	t.Parallel()
	s, addr := redirecting(t)
	tests := []struct{ request, location string }{
		{"GET / HTTP/1.1\nHost: x.test\n", "/"},
		{"GET /a%7e/../b//c?d=%zz&e=\"'<> HTTP/1.1\nHost: X.TEST.:80\n", "/a%7e/../b//c?d=%zz&e=\"'<>"},
		{"GET //evil.test/ HTTP/1.1\nHost: x.test\n", "//evil.test/"},
		{"GET http://x.test/a?b HTTP/1.1\nHost: x.test\n", "/a?b"},
		{"GET /.well-known/acme-challenge/token HTTP/1.1\nHost: x.test\n", "/.well-known/acme-challenge/token"},
		{"HEAD /a HTTP/1.1\nHost: x.test\n", "/a"},
		{"OPTIONS * HTTP/1.1\nHost: x.test\n", ""},
		{"DELETE /a HTTP/1.1\nHost: x.test\n", "/a"},
		{"GET / HTTP/1.1\nHost: x.test\nConnection: Upgrade\nUpgrade: websocket\n", "/"},
		{"GET / HTTP/1.1\nHost: x.test\nShare-Probe: x\n", "/"},
		{"GET /" + strings.Repeat("a", 16000) + " HTTP/1.1\nHost: x.test\n", "/" + strings.Repeat("a", 16000)},
	}
	v := dialVisitor(t, addr) // the same for all
	for _, tt := range tests {
		method, _, _ := strings.Cut(tt.request, " ")
		v.send(tt.request + "\n")
		a := v.receive(method)
		want := "https://x.test:8443" + tt.location
		if got := a.Header.Get("Location"); a.StatusCode != 308 || got != want || a.err != nil || a.Close {
			t.Errorf("%.80q: got %d to %.200q, %v, close %v; want %.200q", tt.request, a.StatusCode, got, a.err, a.Close, want)
		}
		body := "This is served at " + want + "\n"
		if method == "HEAD" {
			body = ""
		}
		if a.body != body {
			t.Errorf("%.80q: the body is %.200q", tt.request, a.body)
		}
		for _, name := range []string{"Share-Error", "Share-Request-Id", "Proxy-Status"} {
			if got := a.Header.Get(name); got != "" {
				t.Errorf("%.80q is taken for a failure: %s: %s", tt.request, name, got)
			}
		}
	}
	v.Close()
	s.wgConns()
	if s.log.has("name=x") || !s.log.has("status=308 cause=\"\"") {
		t.Errorf("the log: %s", s.log)
	}
}

// A CA that comes for a proof gets it, whatever host it asks, and is not sent
// elsewhere.
func TestRedirectProof(t *testing.T) {
	t.Parallel()
	_, addr := redirecting(t)
	for _, host := range []string{"x.test", "y.test", "y.test:80"} {
		v := dialVisitor(t, addr)
		v.send("GET /.well-known/acme-challenge/proof HTTP/1.1\nHost: " + host + "\n\n")
		if a := v.receive("GET"); a.StatusCode != 200 || a.body != "a proof" || a.err != nil {
			t.Errorf("%s: got %d %q, %v", host, a.StatusCode, a.body, a.err)
		}
		v.send("POST /.well-known/acme-challenge/proof HTTP/1.1\nHost: x.test\n\n")
		if a := v.receive("POST"); a.StatusCode != 308 {
			t.Errorf("a POST: %d", a.StatusCode)
		}
	}
}

// Where visitors are served a CA gets its proof too. All else is the target's.
func TestProof(t *testing.T) {
	t.Parallel()
	s, _ := redirecting(t)
	tests := []struct{ head, body string }{
		{"GET /.well-known/acme-challenge/proof HTTP/1.1\nHost: x.test\n", "a proof"},
		{"GET /.well-known/acme-challenge/proof HTTP/1.1\nHost: y.test:80\n", "a proof"},
		{"GET /.well-known/acme-challenge/proof?a HTTP/1.1\nHost: x.test\n", "target"},
		{"GET /.well-known/acme-challenge/other HTTP/1.1\nHost: x.test\n", "target"},
		{"DELETE /.well-known/acme-challenge/proof HTTP/1.1\nHost: x.test\n", "target"},
		{"GET / HTTP/1.1\nHost: x.test\n", "target"},
	}
	for _, tt := range tests {
		method, _, _ := strings.Cut(tt.head, " ")
		v := s.visit()
		v.send(tt.head + "\n")
		if a := v.receive(method); a.StatusCode != 200 || a.body != tt.body || a.err != nil {
			t.Errorf("%q: got %d %q, %v; want %q", tt.head, a.StatusCode, a.body, a.err, tt.body)
		}
	}
}

// A body is not waited for, and what asks for nothing that is there is answered
// as anywhere.
func TestRedirectOthers(t *testing.T) {
	t.Parallel()
	_, addr := redirecting(t)
	tests := []struct {
		request, method string
		status          int
		cause           string
	}{
		{"POST /a HTTP/1.1\nHost: x.test\nContent-Length: 1000000\n\nhalf", "POST", 308, ""},
		{"POST /a HTTP/1.1\nHost: x.test\nContent-Length: 5\nExpect: 100-continue\n\n", "POST", 308, ""},
		{"POST /a HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\n", "POST", 308, ""},
		{"GET /a HTTP/1.0\nHost: x.test\n\n", "GET", 308, ""},
		{"GET / HTTP/1.1\nHost: y.test\n\n", "GET", 404, "unknown_name"},
		{"GET / HTTP/1.1\nHost: home.test\n\n", "GET", 404, "unknown_name"},
		{"GET / HTTP/1.1\n\n", "GET", 400, "bad_request"},
		{"GET / HTTP/1.1\nHost: x.test\nHost: x.test\n\n", "GET", 400, "bad_request"},
		{"CONNECT x.test:443 HTTP/1.1\nHost: x.test:443\n\n", "GET", 501, "request_not_implemented"},
		{"PRI * HTTP/2.0\n\nSM\n\n", "GET", 505, "request_version"},
	}
	for _, tt := range tests {
		v := dialVisitor(t, addr)
		v.send(tt.request)
		v.receive(tt.method).want(t, tt.status, tt.cause)
	}
}
