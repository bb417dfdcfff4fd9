package edge

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"share/tunnel"
)

func TestDispatch(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "target") }, nil)
	secure := s.coveringDoor(func(host string) bool { return host != "other.test" && !strings.HasPrefix(host, "a.") }, "x.test")
	tests := []struct {
		head   string
		status int
		cause  string
		body   string
	}{
		{"GET / HTTP/1.1\nHost: X.TEST:99\n", 200, "", "target"},
		{"GET / HTTP/1.1\nHost: x.test.\n", 200, "", "target"},
		{"GET http://x.test/ HTTP/1.1\nHost: x.test\n", 200, "", "target"},
		{"GET / HTTP/1.1\nHost: y.test\n", 404, "unknown_name", ""},
		{"GET / HTTP/1.1\nHost: x.test.test\n", 404, "unknown_name", ""},
		{"GET / HTTP/1.1\nHost: home.test\n", 200, "", "the relay's own page\n"},
		{"HEAD /?a HTTP/1.1\nHost: home.test\n", 200, "", ""},
		{"GET /other HTTP/1.1\nHost: home.test\n", 404, "", "There is no such page on this relay.\n"},
		{"POST / HTTP/1.1\nHost: home.test\nContent-Length: 0\n", 405, "", "This page can only be read.\n"},
	}
	for _, tt := range tests {
		method, _, _ := strings.Cut(tt.head, " ")
		v := s.visit()
		v.send(tt.head + "\n")
		a := v.receive(method)
		a.want(t, tt.status, tt.cause)
		if tt.cause == "" && a.body != tt.body || a.err != nil || a.Close {
			t.Errorf("%q: body %q, %v, close %v", tt.head, a.body, a.err, a.Close)
		}
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		for host, status := range map[string]int{"x.test": 200, "other.test": 421, "a.b.test": 421, "y.test": 404} {
			v, _ := s.visitSecurely(secure, protocol)
			if protocol == "http/1.1" {
				v.send("GET / HTTP/1.1\nHost: " + host + "\n\n")
				if a := v.receive("GET"); a.StatusCode != status {
					t.Errorf("%s, %s: got %d, want %d", protocol, host, a.StatusCode, status)
				}
				continue
			}
			// The scheme that a visitor states is no way round.
			v2 := visitor2On(t, v)
			for _, scheme := range []string{"http", "https"} {
				a := v2.receive(v2.openRaw(true, ":method", "GET", ":scheme", scheme, ":authority", host, ":path", "/"))
				if a.status != strconv.Itoa(status) {
					t.Errorf("%s, %s, scheme %s: got %s, want %d", protocol, host, scheme, a.status, status)
				}
			}
		}
	}
}

// What the relay answers itself has the form that all Accept fields together ask
// for, be the request well formed or not.
func TestAccept(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	v, v2 := s.visit(), s.visit2()
	const problem = "application/problem+json"
	v.send("GET / HTTP/1.1\nHost: y.test\nAccept: text/plain;q=0.5\nX: 1\nAccept: application/json\n\n")
	if got := v.receive("GET").Header.Get("Content-Type"); got != problem {
		t.Errorf("HTTP/1.1: got %s, want %s", got, problem)
	}
	for _, path := range []string{"/", "/#", "/" + strings.Repeat("a", 20<<10)} {
		a := v2.receive(v2.openRaw(true, ":method", "GET", ":scheme", "http", ":authority", "y.test", ":path", path,
			"accept", "text/plain;q=0.5", "x", "1", "accept", "application/json"))
		if got := a.get("content-type"); got != problem {
			t.Errorf("%.5s: %s, %s; want %s", path, a.status, got, problem)
		}
	}
}

// Of TLS targets are told what is true, whatever a visitor's scheme says.
func TestSchemeIsTheConnections(t *testing.T) {
	t.Parallel()
	protos := make(chan string, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		r := x.Request()
		protos <- string(r.Header.Get("x-forwarded-proto"))
		if https := r.Flags&tunnel.RequestHTTPS != 0; https != (string(r.Target) == "/tls") {
			t.Errorf("%s: the flag for TLS is %v", r.Target, https)
		}
		respond(x, 200, "")
	}, nil)
	v, _ := s.visitSecurely(s.secureDoor("x.test"), "h2")
	secure, plain := visitor2On(t, v), s.visit2()
	for _, scheme := range []string{"http", "https"} {
		secure.receive(secure.openRaw(true, ":method", "GET", ":scheme", scheme, ":authority", "x.test", ":path", "/tls"))
		if got := await(t, protos, "the request"); got != "https" {
			t.Errorf("over TLS with scheme %s: %q", scheme, got)
		}
		plain.receive(plain.openRaw(true, ":method", "GET", ":scheme", scheme, ":authority", "x.test", ":path", "/"))
		if got := await(t, protos, "the request"); got != "http" {
			t.Errorf("in plain with scheme %s: %q", scheme, got)
		}
	}
}

// Nothing that a visitor sends forges a line of the log or keeps one out of it.
func TestLog(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		switch {
		case string(x.Request().Target) == "/own":
			r := response(204, 0, "Share-Probe", "nonce")
			r.Flags = tunnel.ResponseAgent
			x.SendResponse(r)
			x.End(nil)
		case string(x.Request().Target) == "/failed":
			r := response(502, 0, "Share-Error", "target_refused")
			r.Flags = tunnel.ResponseAgent
			x.SendResponse(r)
			x.End(nil)
		case string(x.Request().Target) == "/cut":
			x.Abort(&tunnel.Failure{Cause: tunnel.TargetIncomplete, Detail: "it\nmsg=forged\x1b[2J"})
		default:
			respond(x, 200, "body")
		}
	}, nil)
	logged := &lines{}
	s.Logger = slog.New(slog.NewJSONHandler(logged, nil))
	v := s.visit()
	for _, request := range []string{
		"GET /probed HTTP/1.1\nHost: x.test\nShare-Probe: x\n\n",
		"GET /'\"%0a HTTP/1.1\nHost: x.test\n\n",
		"GET /unknown HTTP/1.1\nHost: y.test\nShare-Probe: x\n\n",
		"GET /own HTTP/1.1\nHost: x.test\nShare-Probe: nonce\n\n",
		"GET /failed HTTP/1.1\nHost: x.test\n\n",
		"GET /cut HTTP/1.1\nHost: x.test\n\n",
	} {
		v.send(request)
		v.receive("GET")
	}
	v.Close()
	s.wgConns()
	var got []string
	for line := range strings.Lines(logged.String()) {
		var l struct {
			Msg, Name, Method, Target, Cause, By, ID string
			Status                                   int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "request" || len(l.ID) != idLen {
			t.Errorf("line %q: %v", line, err)
		}
		got = append(got, strings.Join([]string{l.Name, l.Method, l.Target, strconv.Itoa(l.Status), l.Cause, l.By}, " "))
	}
	want := []string{
		"x GET /probed 200  ",
		`x GET /'"%0a 200  `,
		" GET /unknown 404 unknown_name share-relay",
		"x GET /failed 502 target_refused share-agent",
		"x GET /cut 502 target_incomplete share-agent",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wgConns waits until no connection of HTTP/1.1 is left.
func (s *stub) wgConns() {
	s.t.Helper()
	until(s.t, "the connections' end", func() bool { return len(s.all(nil)) == 0 })
}

// The ids of requests differ, and stand in answer and log alike.
func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		x.Abort(&tunnel.Failure{Cause: tunnel.Internal, Detail: string(x.Request().ID)})
	}, nil)
	v := s.visit()
	seen := make(map[string]bool)
	for range 100 {
		v.send("GET / HTTP/1.1\nHost: x.test\n\n")
		seen[v.receive("GET").Header.Get("Share-Request-Id")] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d ids for 100 requests", len(seen))
	}
	v.Close()
	s.wgConns()
	for id := range seen {
		if !s.log.has("id="+id) || !s.log.has("detail="+id) {
			t.Errorf("%s is not in the log", id)
		}
	}
}
