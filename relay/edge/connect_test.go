package edge

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/websock"
)

// asking is a right request for a WebSocket.
const asking = "GET /.share/connect HTTP/1.1\nHost: home.test\nConnection: Upgrade\nUpgrade: websocket\n" +
	"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n"

// A taken connection is what Config.Agent got.
type taken struct {
	net.Conn
	secret bool
}

// takeAgents makes an Edge pass agents on to the channel that it returns.
func takeAgents(cfg *Config) <-chan taken {
	agents := make(chan taken, 16)
	cfg.Agent = func(conn net.Conn, secret bool) { agents <- taken{conn, secret} }
	return agents
}

// What is not a right request for a WebSocket gets an answer that says so, and
// no agent comes of it.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	var agents <-chan taken
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "target") }, func(cfg *Config) { agents = takeAgents(cfg) })
	with := func(old, new string) string { return strings.Replace(asking, old, new, 1) }
	tests := []struct {
		name, request string
		status        int
		body, field   string
	}{
		{"an Origin", with("\n\n", "\nOrigin: https://home.test\n\n"), 403, "no web pages", ""},
		{"an Origin of null", with("\n\n", "\nOrigin: null\n\n"), 403, "no web pages", ""},
		{"an empty Origin", with("\n\n", "\nOrigin:\n\n"), 403, "no web pages", ""},
		{"POST", with("GET", "POST"), 405, "GET", "Allow: GET"},
		{"no upgrade", "GET /.share/connect HTTP/1.1\nHost: home.test\n\n", 426, "WebSocket", "Upgrade: websocket"},
		{"another upgrade", with("Upgrade: websocket", "Upgrade: echo/1"), 426, "WebSocket", "Upgrade: websocket"},
		{"an upgrade that Connection lacks", with("Connection: Upgrade\n", ""), 426, "WebSocket", "Upgrade: websocket"},
		{"HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), 426, "WebSocket", "Upgrade: websocket"},
		{"a body", with("\n\n", "\nContent-Length: 1\n\nx"), 426, "WebSocket", "Upgrade: websocket"},
		{"another version", with("13", "8"), 426, "version 13", "Sec-WebSocket-Version: 13"},
		{"no version", with("Sec-WebSocket-Version: 13\n", ""), 426, "version 13", "Sec-WebSocket-Version: 13"},
		{"a short key", with("AAAAAAAAAA", ""), 400, "no request for a WebSocket", ""},
		{"no key", with("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n", ""), 400, "no request for a WebSocket", ""},
		{"two keys", with("\n\n", "\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n"), 400, "no request for a WebSocket", ""},
		{"bytes behind it", asking + "SHR1", 400, "no request for a WebSocket", ""},
		{"another path", with("/.share/connect", "/.share/other"), 404, "no such page", ""},
		{"a tunnel's host", with("home.test", "x.test"), 200, "target", ""},
		{"nobody's host", with("home.test", "y.test"), 404, "unknown_name", ""},
	}
	for _, tt := range tests {
		v := s.visit()
		v.send(tt.request)
		a := v.receive("GET")
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.body) {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, a.StatusCode, a.body, tt.status, tt.body)
		}
		if name, value, ok := strings.Cut(tt.field, ": "); ok && a.Header.Get(name) != value {
			t.Errorf("%s: %s is %q, want %q", tt.name, name, a.Header.Get(name), value)
		}
	}
	v2 := s.visit2()
	a := v2.receive(v2.openRaw(true, ":method", "GET", ":scheme", "https", ":authority", "home.test", ":path", "/.share/connect"))
	if a.status != "400" {
		t.Errorf("HTTP/2: got %s", a.status)
	}
	select {
	case got := <-agents:
		t.Errorf("%v passes for an agent", got)
	default:
	}
}

// A relay that stops takes no agent.
func TestConnectWhileDraining(t *testing.T) {
	t.Parallel()
	var agents <-chan taken
	s := newStub(t, nil, func(cfg *Config) { agents = takeAgents(cfg) })
	v := s.visit()
	v.send(asking[:10])
	c := s.only()
	until(t, "half a head", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.phase == phaseHead
	})
	s.draining.Store(true)
	v.send(asking[10:])
	v.receive("GET").want(t, 503, "draining")
	select {
	case <-agents:
		t.Error("an agent is taken")
	default:
	}
}

// Without Config.Agent there is no such place.
func TestConnectNowhere(t *testing.T) {
	t.Parallel()
	s := newStub(t, nil, nil)
	v := s.visit()
	v.send(asking)
	if a := v.receive("GET"); a.StatusCode != 404 {
		t.Errorf("got %d", a.StatusCode)
	}
}

// An agent's connection leaves the Edge: it carries bytes both ways, and no
// drain waits for it or ends it.
func TestConnect(t *testing.T) {
	t.Parallel()
	var agents <-chan taken
	s := newStub(t, nil, func(cfg *Config) { agents = takeAgents(cfg) })
	nc, err := net.Dial("tcp", s.plain)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := websock.Dial(t.Context(), nc, websock.Request{Host: "home.test", Path: tunnel.ConnectPath + "?any"})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	relay := await(t, agents, "the agent")
	defer relay.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Errorf("Drain: %v", err)
	}
	s.look()
	for name, ends := range map[string][2]net.Conn{"to the relay": {agent, relay}, "to the agent": {relay, agent}} {
		ends[1].SetDeadline(time.Now().Add(patience))
		io.WriteString(ends[0], "hello")
		got := make([]byte, len("hello"))
		if _, err := io.ReadFull(ends[1], got); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if !s.log.has("status=101") {
		t.Errorf("the request is not logged: %s", s.log)
	}
}

// Whether the request came over TLS is known by the connection, and of a
// trusted proxy by its word.
func TestConnectSecret(t *testing.T) {
	t.Parallel()
	trust := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name    string
		trusted []netip.Prefix
		fields  string
		secret  bool
	}{
		{"in plain", nil, "", false},
		{"in plain, with a claim", nil, "X-Forwarded-Proto: https\nForwarded: proto=https\n", false},
		{"a proxy that says nothing", trust, "", false},
		{"a proxy that says https", trust, "X-Forwarded-Proto: https\n", true},
		{"a proxy that says HTTPS", trust, "x-forwarded-proto: HTTPS\n", true},
		{"a proxy that says http", trust, "X-Forwarded-Proto: http\n", false},
		{"a proxy that says both", trust, "X-Forwarded-Proto: https\nX-Forwarded-Proto: http\n", false},
		{"a proxy that passes a list on", trust, "X-Forwarded-Proto: http, https\n", false},
		{"a proxy with Forwarded alone", trust, "Forwarded: proto=https\n", false},
	}
	for _, tt := range tests {
		var agents <-chan taken
		s := newStub(t, nil, func(cfg *Config) {
			cfg.TrustedProxies = tt.trusted
			agents = takeAgents(cfg)
		})
		for _, tls := range []bool{false, true} {
			v, want := s.visit(), tt.secret
			if tls {
				v, _ = s.visitSecurely(s.secureDoor("home.test"), "http/1.1")
				// Its own word counts where a proxy gives none.
				want = tt.trusted == nil || tt.secret || tt.fields == ""
			}
			v.send(strings.Replace(asking, "\n\n", "\n"+tt.fields+"\n", 1))
			got := await(t, agents, tt.name)
			if got.secret != want {
				t.Errorf("%s, TLS %v: secret is %v", tt.name, tls, got.secret)
			}
			got.Close()
		}
	}
}

// A visitor who leaves before the answer is no agent.
func TestConnectGone(t *testing.T) {
	t.Parallel()
	var agents <-chan taken
	s := newStub(t, nil, func(cfg *Config) { agents = takeAgents(cfg) })
	v := s.visitThrough(func(tc *net.TCPConn) net.Conn { return deaf{tc} })
	v.send(asking)
	if rest, err := v.ends(); rest != "" {
		t.Errorf("got %q, %v", rest, err)
	}
	select {
	case <-agents:
		t.Error("a visitor who has left is an agent")
	default:
	}
}

// A deaf connection takes nothing.
type deaf struct{ *net.TCPConn }

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
