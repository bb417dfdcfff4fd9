package relay

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"share/tunnel"
)

func TestAuthorise(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "s3cret-ann")
	tokens.Add("bob", "s3cret-bob")
	s := serve(t, Config{Tokens: tokens}, nil, doorHTTP)
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "s3cret-bob"}, say(""))
	if err != nil || a.Welcome.Account != "bob" {
		t.Fatalf("got %+v, %v", a, err)
	}
	for token, want := range map[string]string{"": "no token was given", "s3cret-eve": "bad token", "s3cret-ann ": "bad token"} {
		_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: token}, say(""), &tunnel.Bind{ID: 1, Kind: "http", Name: "x"})
		refused, ok := errors.AsType[*tunnel.RejectError](err)
		if !ok || refused.Code != tunnel.RejectToken || refused.Message != want {
			t.Errorf("token %q: got %v, want %q", token, err, want)
		}
	}
	if s.log.has("s3cret") {
		t.Errorf("a token is in the log: %s", s.log)
	}
}

// A token does not travel in plain from beyond loopback, unless both ends allow
// it.
func TestAuthorisePlain(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "secret")
	for _, tt := range []struct {
		local          string
		tls            bool
		relay, agent   bool // what is insecure
		wantRefusal    bool
		wantRefusalFor tunnel.RejectCode
	}{
		{"127.0.0.1", false, false, false, false, ""},
		{"192.0.2.1", true, false, false, false, ""},
		{"192.0.2.1", false, false, false, true, tunnel.RejectInsecure},
		{"192.0.2.1", false, true, false, true, tunnel.RejectInsecure},
		{"192.0.2.1", false, false, true, true, tunnel.RejectInsecure},
		{"192.0.2.1", false, true, true, false, ""},
	} {
		r, err := New(Config{Tokens: tokens, Insecure: tt.relay})
		if err != nil {
			t.Fatal(err)
		}
		conn := place{nil, &net.TCPAddr{IP: net.ParseIP(tt.local)}}
		_, err = r.authorise(t.Context(), conn, &tunnel.Hello{Token: "secret", Insecure: tt.agent}, tt.tls)
		refused, ok := errors.AsType[*tunnel.RejectError](err)
		if ok != tt.wantRefusal || ok && refused.Code != tt.wantRefusalFor {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

// What agents say first that is no Hello of this version.
func TestRejected(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	refusal := func(code tunnel.RejectCode, hello tunnel.Hello) {
		t.Helper()
		_, err := connect(t, s.dial(doorHTTP), hello, say(""))
		if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != code {
			t.Errorf("%+v: got %v, want %q", hello, err, code)
		}
	}
	refusal(tunnel.RejectVersion, tunnel.Hello{Lowest: 7, Highest: 9})
	a := s.agent("x", say(""))
	for name, hello := range map[string]tunnel.Hello{
		"no session":     {},
		"a wrong one":    {Session: "x", LaneSecret: a.Welcome.LaneSecret},
		"no secret":      {Session: a.Welcome.Session},
		"a wrong secret": {Session: a.Welcome.Session, LaneSecret: a.Welcome.LaneSecret + "x"},
	} {
		joining := &tunnel.Session{Welcome: &tunnel.Welcome{Session: hello.Session, LaneSecret: hello.LaneSecret}}
		err := joining.Join(t.Context(), s.dial(doorHTTP), tunnel.Hello{})
		if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectSession {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, bytes := range map[string]string{
		"half a preface":  "SHR1\x01\x01\x01\x00\x00\x00",
		"no JSON":         "SHR1\x01\x01\x01\x00\x00\x00\x00\x01x",
		"an unknown kind": "SHR1\x01\x01\x09\x00\x00\x00\x00\x02{}",
		"too long":        "SHR1\x01\x01\x01\x00\xff\xff\xff\xff",
	} {
		conn := s.dial(doorHTTP)
		io.WriteString(conn, bytes)
		conn.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || strings.Contains(string(got), "lane_secret") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, body := get(t, s.dial(doorHTTP), "x.localhost"); body != "" {
		t.Errorf("the tunnel answers %q", body)
	}
}

// Another account's agent adds no lane to a session, whose secret it may know.
func TestLaneOfAnotherAccount(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "1")
	tokens.Add("bob", "2")
	s := serve(t, Config{Tokens: tokens}, nil, doorHTTP)
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "1"}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Ping(t.Context()); err != nil { // then the relay knows the session
		t.Fatal(err)
	}
	other := &tunnel.Session{Welcome: a.Welcome}
	err = other.Join(t.Context(), s.dial(doorHTTP), tunnel.Hello{Token: "2"})
	if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectSession {
		t.Errorf("got %v", err)
	}
	joined := make(chan error, 1)
	conn := s.dial(doorHTTP)
	go func() { joined <- a.Join(t.Context(), conn, tunnel.Hello{Token: "1"}) }()
	until(t, "the lane", func() bool { return a.Lanes() == 2 })
	a.Close()
	await(t, joined, "the lane's end")
}

func TestBind(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	_, port, _ := net.SplitHostPort(s.addrs[doorHTTP])
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, func(x *tunnel.Exchange) {
		say(map[uint32]string{1: "one", 2: "two"}[x.Request().Tunnel])(x)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"one", "two"} {
		m, ok := a.bind(tunnel.Bind{ID: uint32(40 + i), Name: name, Holder: "h"}).(*tunnel.Bound)
		if want := "http://" + name + ".localhost:" + port; !ok || m.ID != uint32(40+i) || m.Tunnel != uint32(i+1) || m.URL != want || m.Name != name {
			t.Fatalf("got %+v, want %s", m, want)
		}
		if _, body := get(t, s.dial(doorHTTP), name+".localhost"); body != name {
			t.Errorf("%s answers %q", name, body)
		}
	}
	refusals := []struct {
		bind tunnel.Bind
		code tunnel.RejectCode
		text string
	}{
		{tunnel.Bind{Name: "a.b"}, tunnel.RejectName, "no DNS label"},
		{tunnel.Bind{Kind: "tcp", Name: "z"}, tunnel.RejectName, `kind "tcp"`},
		{tunnel.Bind{Kind: strings.Repeat("k", 9000), Name: "z"}, tunnel.RejectName, "kkk"},
		{tunnel.Bind{Name: strings.Repeat("n", 9000)}, tunnel.RejectName, "nnn"},
		{tunnel.Bind{Name: "z", Holder: strings.Repeat("h", 257)}, tunnel.RejectName, "too long"},
		{tunnel.Bind{Seed: strings.Repeat("s", 257)}, tunnel.RejectName, "too long"},
		{tunnel.Bind{Name: "one", Holder: "other"}, tunnel.RejectTaken, "--takeover"},
	}
	for _, tt := range refusals {
		m, ok := a.bind(tt.bind).(*tunnel.BindError)
		if !ok || m.Code != tt.code || !strings.Contains(m.Message, tt.text) || len(m.Message) > 300 {
			t.Errorf("%.60v: got %+v, want %q and %q", tt.bind, m, tt.code, tt.text)
		}
	}
	for line := range strings.Lines(s.log.String()) {
		if len(line) > 1000 {
			t.Errorf("a line of %d bytes in the log: %.200s", len(line), line)
		}
	}

	// A name that is given back is known, and nobody's.
	a.Send(&tunnel.Unbind{Tunnel: 1})
	a.Send(&tunnel.Unbind{Tunnel: 0})
	a.Send(&tunnel.Unbind{Tunnel: 99})
	until(t, "the name's end", func() bool {
		resp, _ := get(t, s.dial(doorHTTP), "one.localhost")
		return resp.StatusCode == 503 && resp.Header.Get("Share-Error") == "no_agent" && resp.Header.Get("Retry-After") != ""
	})
	if _, body := get(t, s.dial(doorHTTP), "two.localhost"); body != "two" {
		t.Errorf("the other name answers %q", body)
	}
	if resp, _ := get(t, s.dial(doorHTTP), "three.localhost"); resp.StatusCode != 404 {
		t.Errorf("a name that nobody had: %d", resp.StatusCode)
	}
	a.Close()
	until(t, "the other name's end", func() bool {
		resp, _ := get(t, s.dial(doorHTTP), "two.localhost")
		return resp.StatusCode == 503
	})
}

// A session has a hundred tunnels at most.
func TestTunnelsOfASession(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	for range maxTunnels {
		if m, ok := a.bind(tunnel.Bind{Name: "x", Holder: "h"}).(*tunnel.Bound); !ok {
			t.Fatalf("got %+v", m)
		}
	}
	if m, ok := a.bind(tunnel.Bind{Name: "x", Holder: "h"}).(*tunnel.BindError); !ok || m.Code != tunnel.RejectQuota {
		t.Errorf("got %+v", m)
	}
}

// An agent that loses its name is told, and its session ends; the other serves
// at once.
func TestEvict(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	first := s.agent("x", say("first"))
	second, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say("second"))
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := second.bind(tunnel.Bind{Name: "x", Holder: "other"}).(*tunnel.BindError); !ok || m.Code != tunnel.RejectTaken {
		t.Fatalf("got %+v", m)
	}
	if m, ok := second.bind(tunnel.Bind{Name: "x", Holder: "other", Takeover: true}).(*tunnel.Bound); !ok {
		t.Fatalf("got %+v", m)
	}
	if m, ok := first.receive().(*tunnel.Unbind); !ok || m.Code != tunnel.RejectEvicted || m.Tunnel != 1 {
		t.Errorf("the first is told %+v", m)
	}
	if _, body := get(t, s.dial(doorHTTP), "x.localhost"); body != "second" {
		t.Errorf("the name answers %q", body)
	}
	first.Close()
	until(t, "the first's end", func() bool { return s.log.has("agent gone") })
	if _, body := get(t, s.dial(doorHTTP), "x.localhost"); body != "second" {
		t.Errorf("behind the first's end the name answers %q", body)
	}
}

// An agent that drains finishes what is open, and gets nothing new.
func TestAgentDrains(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	entered, finish := make(chan bool, 1), make(chan bool)
	release := sync.OnceFunc(func() { close(finish) })
	defer release() // a test that fails does not wait either
	a := s.agent("x", func(x *tunnel.Exchange) {
		entered <- true
		<-finish
		say("drained")(x)
	})
	answer := later(s.dial(doorHTTP), "x.localhost")
	await(t, entered, "the request")
	drained := make(chan error, 1)
	go func() { drained <- a.Drain(t.Context(), tunnel.Drain{DeadlineMS: 10_000}) }()
	until(t, "the drain", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, session := range s.sessions {
			return session.Draining()
		}
		return false
	})
	if resp, _ := get(t, s.dial(doorHTTP), "x.localhost"); resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "draining" {
		t.Errorf("a new request gets %d %q", resp.StatusCode, resp.Header.Get("Share-Error"))
	}
	release()
	if body := await(t, answer, "the answer"); body != "drained" {
		t.Errorf("the open request gets %q", body)
	}
	if err := await(t, drained, "the drain"); err != nil {
		t.Errorf("Drain: %v", err)
	}
	until(t, "the name's end", func() bool {
		resp, _ := get(t, s.dial(doorHTTP), "x.localhost")
		return resp.Header.Get("Share-Error") == "no_agent"
	})
}

func TestProbe(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "1")
	s := serve(t, Config{Tokens: tokens}, nil, doorHTTP)
	for token, want := range map[string]byte{`{"token":"1"}`: 0, `{}`: 1} {
		conn := s.dial(doorHTTP)
		io.WriteString(conn, "SHR1\x01\x01\x03\x00\x00\x00\x00"+string(rune(len(token)))+token)
		got, err := io.ReadAll(conn)
		if err != nil || len(got) < 12 || string(got[:4]) != "SHR1" || got[5] != want {
			t.Errorf("%s: got %q, %v", token, got, err)
		}
	}
}
