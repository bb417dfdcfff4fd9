package edge

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"share/tunnel"
)

var errNoRoom = errors.New("no memory")

// While the relay is full exchanges are refused, over old connections too, and
// not once it has room again.
func TestFull(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	s := newStub(t, ok, func(cfg *Config) {
		cfg.Full = func() *tunnel.Failure {
			if !full.Load() {
				return nil
			}
			return tunnel.Fail(tunnel.RelayOverload, errNoRoom)
		}
	})
	first, second := s.visit(), s.visit2()
	ask := func(host string) answered {
		first.send("GET / HTTP/1.1\nHost: " + host + "\n\n")
		return first.receive("GET")
	}
	for _, is := range []bool{false, true, false} {
		full.Store(is)
		status, cause, status2 := 200, "", "200"
		if is {
			status, cause, status2 = 503, "overload", "503"
		}
		a := ask("x.test")
		a.want(t, status, cause)
		if retry := a.Header.Get("Retry-After"); is && retry == "" {
			t.Error("no Retry-After")
		}
		if a := second.receive(second.open(true, "GET", "/")); a.status != status2 || a.end != "END_STREAM" {
			t.Errorf("HTTP/2: %+v, want %s", a, status2)
		}
		ask("home.test").want(t, 200, "")
		ask("no.test").want(t, 404, "unknown_name")
	}
	if !s.log.has("no memory") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

// A visitor for whom there is no room is told so, and the connection ends.
func TestRefuse(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	why := tunnel.Fail(tunnel.RelayOverload, errNoRoom)
	for _, host := range []string{"x.test", "home.test", "no.test"} {
		v := s.refused(false, why)
		v.send("POST / HTTP/1.1\nHost: " + host + "\nContent-Length: 3\n\nabc")
		a := v.receive("POST")
		a.want(t, 503, "overload")
		if rest, err := v.ends(); rest != "" || err == nil {
			t.Errorf("behind the refusal came %q, %v", rest, err)
		}
	}
	v := visitor2On(t, s.refused(true, why))
	if a := v.receive(v.open(true, "GET", "/")); a.status != "503" || a.end != "END_STREAM" {
		t.Errorf("HTTP/2: %+v", a)
	}
	v.wantLast(1, 0)
}

// refused connects a visitor for whom there is no room.
func (s *stub) refused(second bool, why *tunnel.Failure) *rawVisitor {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.door(func(nc net.Conn) { s.Refuse(nc, nc, nil, second, why) }))
	if err != nil {
		s.t.Fatal(err)
	}
	return visitorOn(s.t, nc)
}

// A visitor for whom there is no room takes the place of others who are to be told
// so, and has less time than usual to ask. One who is slow is told all the same.
func TestRefuseTheSlow(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout, cfg.IdleTimeout = time.Hour, time.Hour })
	why := tunnel.Fail(tunnel.RelayOverload, errNoRoom)
	slow, silent, second := s.refused(false, why), s.refused(false, why), s.refused(true, why)
	slow.send("GET / HTTP/1.1\nHost")
	second.send("PRI * HTTP/2.0\n")
	slow.receive("GET").want(t, 503, "overload")
	for name, v := range map[string]*rawVisitor{"slow": slow, "silent": silent, "HTTP/2": second} {
		if _, err := v.ends(); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection does not end", name)
		}
	}
}
