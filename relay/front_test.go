package relay

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"share/tunnel"
)

// behindFronts runs a relay whose fronts are fronts, with an agent for x whose
// target says from where a request came and what was forwarded of that.
func behindFronts(t *testing.T, cfg Config, fronts string) *serving {
	t.Helper()
	const addr = "127.0.0.1:0"
	addresses := Addresses{
		HTTP: addr, HTTPS: addr, Redirect: addr, Agents: addr,
		Certificate: newCertificate(t, "share.test", "*.share.test"),
		Fronts:      []netip.Prefix{netip.MustParsePrefix(fronts)},
	}
	doors, err := addresses.Listen()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Domain = "share.test"
	s := serveAt(t, cfg, doors...)
	a, err := connect(t, s.dial(doorAgents), tunnel.Hello{}, func(x *tunnel.Exchange) {
		r := x.Request()
		say(string(r.Client) + " " + string(r.Header.Get("x-forwarded-for")))(x)
	}, &tunnel.Bind{ID: 1, Kind: "http", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	a.receive()
	return s
}

const (
	fromVisitor = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
	request     = "GET / HTTP/1.1\r\nHost: x.share.test\r\n\r\n"
)

// What a front says of a visitor is true at every door, for targets and logs.
func TestFronts(t *testing.T) {
	s := behindFronts(t, Config{}, "127.0.0.1/32")
	const want = "192.0.2.7:4711 192.0.2.7"
	for name, header := range map[string]string{
		"v1":                 fromVisitor,
		"v2":                 header2(proxy2, 0x11, addresses4),
		"v2 with extensions": header2(proxy2, 0x11, addresses4, []byte("\x04\x01\x00"), make([]byte, 256)),
	} {
		t.Run(name+" in plain", func(t *testing.T) {
			conn := s.dial(doorHTTP)
			io.WriteString(conn, header)
			if _, body := get(t, conn, "x.share.test"); body != want {
				t.Errorf("the target saw %q", body)
			}
		})
		t.Run(name+" with the request", func(t *testing.T) {
			conn := s.dial(doorHTTP)
			io.WriteString(conn, header+request[:len(request)-1])
			io.WriteString(conn, request[len(request)-1:])
			if _, body := answerOf(t, conn); body != want {
				t.Errorf("the target saw %q", body)
			}
		})
		t.Run(name+" before TLS", func(t *testing.T) {
			for _, protocol := range []string{"http/1.1", "h2"} {
				conn := s.dial(doorHTTPS)
				io.WriteString(conn, header)
				tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
				if status, body := ask(t, tc, "x.share.test"); status != 200 || body != want {
					t.Errorf("%s: %d, the target saw %q", protocol, status, body)
				}
			}
		})
		t.Run(name+" where visitors are redirected", func(t *testing.T) {
			conn := s.dial(doorRedirect)
			io.WriteString(conn, header)
			if resp, _ := get(t, conn, "x.share.test"); resp.StatusCode != 308 {
				t.Errorf("got %d", resp.StatusCode)
			}
			until(t, "the visitor's line", func() bool { return s.log.has("status=308") })
		})
		t.Run(name+" of an agent", func(t *testing.T) {
			conn := s.dial(doorHTTP)
			io.WriteString(conn, header)
			a, err := connect(t, conn, tunnel.Hello{}, say(""))
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Ping(t.Context()); err != nil { // then the relay knows the session
				t.Error(err)
			}
		})
	}
	for _, line := range []string{`msg=request`, `msg="agent connected"`} {
		until(t, line, func() bool { return s.log.line(line, "client=192.0.2.7:4711") })
		if s.log.line(line, "client=127.0.0.1") && line == "msg=request" {
			t.Errorf("a request's line has the front's address: %s", s.log)
		}
	}
}

// The visitor that a front names is the one that is trusted, or not.
func TestFrontsAndTrustedProxies(t *testing.T) {
	const forged = "GET / HTTP/1.1\r\nHost: x.share.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
	for trusted, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.7:4711 198.51.100.1, 192.0.2.7",
		"127.0.0.1/32": "192.0.2.7:4711 192.0.2.7",
	} {
		s := behindFronts(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(trusted)}}, "127.0.0.1/32")
		conn := s.dial(doorHTTP)
		io.WriteString(conn, fromVisitor+forged)
		if _, body := answerOf(t, conn); body != want {
			t.Errorf("%s is trusted: the target saw %q, want %q", trusted, body, want)
		}
	}
}

// A front that says nothing of its visitors gets no answer, and the log says
// why.
func TestFrontsWithoutHeader(t *testing.T) {
	s := behindFronts(t, Config{}, "127.0.0.1/32")
	for _, kind := range []string{doorHTTP, doorHTTPS, doorRedirect} {
		for _, sent := range []string{request, "\x16\x03\x01\x00\x05hello", "SHR1\x01\x01\x01\x00", "PROXY TCP4 192.0.2.7\r\n" + request} {
			conn := s.dial(kind)
			io.WriteString(conn, sent)
			if b, err := io.ReadAll(conn); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s, %q: got %q, %v, want the connection's end", kind, sent, b, err)
			}
			client := conn.LocalAddr().String()
			until(t, "the warning", func() bool {
				return s.log.line("has to begin with a PROXY protocol header", "door="+kind, "client="+client)
			})
		}
	}
	// Who looks whether the port is open is none of those.
	conn := s.dial(doorHTTP)
	conn.(*net.TCPConn).CloseWrite()
	io.ReadAll(conn)
	client := conn.LocalAddr().String()
	until(t, "the look's line", func() bool { return s.log.line("client=" + client) })
	if !s.log.line("level=DEBUG", "client="+client) {
		t.Errorf("a look at the port is more than a line for debugging: %s", s.log)
	}
}

// Who is no front cannot say that it is another: to it a header is no request.
func TestHeaderOfOthers(t *testing.T) {
	s := behindFronts(t, Config{}, "192.0.2.0/24")
	for _, header := range []string{fromVisitor, header2(proxy2, 0x11, addresses4)} {
		conn := s.dial(doorHTTP)
		io.WriteString(conn, header+request)
		if resp, _ := answerOf(t, conn); resp.StatusCode != 400 {
			t.Errorf("%q: got %d", header, resp.StatusCode)
		}
		conn = s.dial(doorHTTPS)
		io.WriteString(conn, header)
		if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Errorf("%q stood before TLS", header)
		}
	}
	if _, body := get(t, s.dial(doorHTTP), "x.share.test"); !strings.HasPrefix(body, "127.0.0.1:") {
		t.Errorf("without a header the target saw %q", body)
	}
	if s.log.has("client=192.0.2.7") {
		t.Errorf("the forged address is in the log: %s", s.log)
	}
}

// A token that came to a front from afar has travelled in plain.
func TestTokenThroughFront(t *testing.T) {
	var tokens Tokens
	if err := tokens.Add("ann", "secret"); err != nil {
		t.Fatal(err)
	}
	const addr = "127.0.0.1:0"
	addresses := Addresses{HTTP: addr, Fronts: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	doors, err := addresses.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s := serveAt(t, Config{Tokens: tokens}, doors...)
	for header, want := range map[string]bool{
		fromVisitor: false,
		"PROXY TCP4 127.0.0.1 127.0.0.1 4711 80\r\n": true,
		"PROXY UNKNOWN\r\n":                          true,
	} {
		conn := s.dial(doorHTTP)
		io.WriteString(conn, header)
		_, err := connect(t, conn, tunnel.Hello{Token: "secret"}, say(""))
		refused, ok := errors.AsType[*tunnel.RejectError](err)
		if ok == want || ok && refused.Code != tunnel.RejectInsecure || !ok && err != nil {
			t.Errorf("%q: got %v", header, err)
		}
	}
}

// A relay that stops waits for no header.
func TestDrainWhileHeaderIsRead(t *testing.T) {
	s := behindFronts(t, Config{}, "127.0.0.1/32")
	io.WriteString(s.dial(doorHTTP), "PROXY TCP4 ")
	until(t, "the connection", func() bool { return s.strange() == 1 })
	s.stop()
	if err := await(t, s.ended, "the relay's end"); err != nil {
		t.Error(err)
	}
	if s.log.has("has to begin with a PROXY") {
		t.Errorf("the front is blamed: %s", s.log)
	}
}
