package relay

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"share/tunnel"
)

// strange is how many connections have not shown what they are for.
func (s *serving) strange() int {
	return s.strangers.len()
}

// from is an address of the network 10.0.0.0/8.
func from(n int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(10, byte(n>>16), byte(n>>8), byte(n)), Port: 5000}
}

// A closing connection notes that it was closed.
type closing struct {
	net.Conn
	closed atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}

// arrive greets a connection from addr; nil if there is no room.
func arrive(s *strangers, addr net.Addr) (*closing, *stranger) {
	c := &closing{}
	g := s.greet(c)
	if g == nil {
		return nil, nil
	}
	if room, _ := s.count(g, addr); !room {
		s.gone(g)
		return nil, nil
	}
	return c, g
}

// When strangers are too many, who comes next is turned away for a moment; then
// those go that have said nothing for longest.
func TestStrangersMakeRoom(t *testing.T) {
	for name, tt := range map[string]struct {
		most int
		addr func(n int) net.Addr
	}{
		"of all":         {maxStrangers, from},
		"of one address": {maxStrangersEach, func(int) net.Addr { return from(1) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s strangers
				first, _ := arrive(&s, tt.addr(0))
				second, _ := arrive(&s, tt.addr(1))
				for n := 2; n < tt.most; n++ {
					if c, _ := arrive(&s, tt.addr(n)); c == nil {
						t.Fatalf("there is no room for %d", n)
					}
				}
				if c, _ := arrive(&s, tt.addr(tt.most)); c != nil {
					t.Error("there is room for one more at once")
				}
				if name != "of all" {
					if c, _ := arrive(&s, from(2)); c == nil {
						t.Error("another address has no room")
					}
				}
				time.Sleep(strangerAge)
				if c, _ := arrive(&s, tt.addr(tt.most)); c == nil || !first.closed.Load() || second.closed.Load() {
					t.Errorf("a second later: closed %v, %v", first.closed.Load(), second.closed.Load())
				}
			})
		})
	}
}

// An address that floods the relay makes room for others, at once.
func TestStrangersOfAFloodYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s strangers
		few, _ := arrive(&s, from(1))
		var flood []*closing
		for n := 1; n < maxStrangers; n++ {
			c, _ := arrive(&s, from(10+n%10))
			flood = append(flood, c)
		}
		for n := range 100 {
			if c, _ := arrive(&s, from(100+n)); c == nil {
				t.Fatalf("address %d has no room", n)
			}
		}
		if few.closed.Load() || !flood[0].closed.Load() || !flood[99].closed.Load() || flood[100].closed.Load() {
			t.Errorf("closed: the only one of its address %v, of the flood %v, %v, %v",
				few.closed.Load(), flood[0].closed.Load(), flood[99].closed.Load(), flood[100].closed.Load())
		}
	})
}

// Who has shown what they are for counts for the address, until they go.
func TestConnectionsOfOneAddress(t *testing.T) {
	s := strangers{each: 3}
	within := func(addr net.Addr) (*stranger, bool) {
		g := s.greet(&closing{})
		_, within := s.count(g, addr)
		s.met(g)
		return g, within
	}
	var met []*stranger
	for n := range 5 {
		g, ok := within(from(1))
		if met = append(met, g); ok != (n < 3) {
			t.Errorf("connection %d: within is %v", n, ok)
		}
	}
	if _, ok := within(from(2)); !ok {
		t.Error("another address has no room")
	}
	for _, g := range met {
		s.gone(g)
		s.gone(g) // as an agent that leaves
	}
	if _, ok := within(from(1)); !ok {
		t.Error("there is no room when all have left")
	}
	if len(s.addresses) != 2 || s.all.Len() != 0 {
		t.Errorf("%d addresses, %d strangers", len(s.addresses), s.all.Len())
	}
}

// What counts as one address.
func TestPrefixOf(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7/32",
		"::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2::7":  "2001:db8:1:2::/64",
		"fe80::1":          "fe80::/64",
	} {
		if got, ok := prefixOf(&net.TCPAddr{IP: net.ParseIP(text), Port: 1}); !ok || got.String() != want {
			t.Errorf("%s: got %v, %v; want %s", text, got, ok, want)
		}
	}
	for _, addr := range []net.Addr{&net.UnixAddr{Name: "@"}, &net.TCPAddr{}, nil} {
		if got, ok := prefixOf(addr); ok {
			t.Errorf("%v: got %v", addr, got)
		}
	}
}

// crowd fills the place for strangers with most of them from an address each, none
// of which makes room.
func (s *serving) crowd(most int, addr func(n int) net.Addr) {
	s.t.Helper()
	for n := range most {
		_, g := arrive(&s.strangers, addr(n))
		if g == nil {
			s.t.Fatalf("there is no room for %d", n)
		}
		s.strangers.mu.Lock()
		g.since = time.Now().Add(time.Hour)
		s.strangers.mu.Unlock()
	}
}

// Who comes when strangers are too many is told why there is no room: all but who
// comes by TLS or says nothing, and of those the log tells.
func TestStrangersAreTurnedBack(t *testing.T) {
	for name, tt := range map[string]struct {
		most int
		addr func(n int) net.Addr
	}{
		"of all":         {maxStrangers, func(n int) net.Addr { return from(n / fewStrangers) }},
		"of one address": {maxStrangersEach, func(int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Config{}, newCertificate(t, "localhost"), doorHTTP, doorHTTPS, doorRedirect, doorAgents)
			s.crowd(tt.most, tt.addr)
			for _, kind := range []string{doorHTTP, doorRedirect} {
				resp, _ := get(t, s.dial(kind), "localhost")
				if resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "overload" || resp.Header.Get("Retry-After") == "" || !resp.Close {
					t.Errorf("%s: %d %v", kind, resp.StatusCode, resp.Header)
				}
			}
			if !s.log.line("visitors are refused", errStrangers.Error()) {
				t.Errorf("the log does not say so: %s", s.log)
			}
			_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say(""))
			if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectOverload || refused.RetryAfter != overloadPause {
				t.Errorf("an agent: %v", err)
			}
			for _, kind := range []string{doorHTTP, doorHTTPS, doorAgents} {
				nc := s.dial(kind)
				nc.SetDeadline(time.Now().Add(agentTimeout - time.Second))
				if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, in silence: %d bytes, %v; want its end", kind, n, err)
				}
			}
			if !s.log.line("closed unanswered", errStrangers.Error()) {
				t.Errorf("the log does not say who is not told: %s", s.log)
			}
			until(t, "nobody is being told any more", func() bool { return s.budget.told.Load() == 0 })
		})
	}
}

// No more strangers are told at a time than there is room for.
func TestStrangersAreToldInTurn(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	s.crowd(maxStrangersEach, func(int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} })
	s.budget.told.Store(s.budget.spare)
	nc := s.dial(doorHTTP)
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v; want the end", n, err)
	}
	if !s.log.line("closed unanswered", errTold.Error()) {
		t.Errorf("the log does not say so: %s", s.log)
	}
	s.budget.told.Store(0)
	if resp, _ := get(t, s.dial(doorHTTP), "localhost"); resp.StatusCode != 503 {
		t.Errorf("when there is room: %d", resp.StatusCode)
	}
}

// Handshakes that fail bar their address, for as long as it takes to have
// another try, and nobody else.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s strangers
		worth := 0
		for range 2 * failureBurst {
			if s.failed(from(1)) {
				worth++
			}
		}
		if worth != failureBurst || !s.barred(from(1)) || s.barred(from(2)) {
			t.Errorf("%d failures are worth a line, barred %v and %v", worth, s.barred(from(1)), s.barred(from(2)))
		}
		s.prune()
		if !s.barred(from(1)) {
			t.Error("forgotten at once")
		}
		time.Sleep(time.Second)
		if s.barred(from(1)) {
			t.Error("barred for ever")
		}
		time.Sleep(failureBurst / failureRate * time.Second)
		if s.prune(); len(s.addresses) != 0 {
			t.Errorf("%d addresses are known in the end", len(s.addresses))
		}
	})
}

// There are not more addresses known than their bound, whoever comes.
func TestAddressesAreBounded(t *testing.T) {
	var s strangers
	for n := range maxAddresses + 10 {
		s.failed(from(n))
	}
	if len(s.addresses) != maxAddresses {
		t.Errorf("%d addresses are known, want %d", len(s.addresses), maxAddresses)
	}
	for range failureBurst {
		s.failed(from(maxAddresses + 20))
	}
	if !s.barred(from(maxAddresses + 30)) {
		t.Error("those beyond are not barred together")
	}
}

// An address from which handshakes fail is turned away before its next Hello is
// read, and is asked to stay away; visitors of the same address are served.
func TestBarredAddress(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "right")
	s := serve(t, Config{Tokens: tokens}, nil, doorHTTP, doorAgents)
	// However long the machine stalls, nothing is forgotten.
	s.strangers.failed(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	s.strangers.mu.Lock()
	for _, a := range s.strangers.addresses {
		if a.failures != nil {
			a.failures.SetLimit(rate.Every(time.Hour))
		}
	}
	s.strangers.mu.Unlock()
	var refused *tunnel.RejectError
	for n := 0; refused == nil || refused.Code == tunnel.RejectToken; n++ {
		_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "wrong"}, say(""))
		refused, _ = errors.AsType[*tunnel.RejectError](err)
		if refused == nil || n > 2*failureBurst {
			t.Fatalf("try %d: %v", n, err)
		}
	}
	if refused.Code != tunnel.RejectOverload || refused.RetryAfter != overloadPause {
		t.Errorf("got %+v", refused)
	}
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "right"}, say("")); err == nil {
		t.Error("an agent is let in")
	}
	nc := s.dial(doorAgents)
	nc.SetDeadline(time.Now().Add(agentTimeout / 2))
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the door for agents: %d bytes, %v", n, err)
	}
	if resp, _ := get(t, s.dial(doorHTTP), "localhost"); resp.StatusCode != 200 {
		t.Errorf("a visitor: %d", resp.StatusCode)
	}
}

// An address has only so many connections; others are told why, and one that
// ends makes room. Agents do not count.
func TestConnectionsPerAddress(t *testing.T) {
	s := serve(t, Config{ConnectionsPerAddress: 2}, nil, doorHTTP)
	s.agent("x", say("hello"))
	first, second := s.dial(doorHTTP), s.dial(doorHTTP)
	for _, nc := range []net.Conn{first, second} {
		if resp, body := get(t, nc, "x.localhost"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	}
	resp, _ := get(t, s.dial(doorHTTP), "x.localhost")
	if resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "overload" || !resp.Close {
		t.Errorf("the third: %d %v", resp.StatusCode, resp.Header)
	}
	if !s.log.line("visitors are refused", errAddress.Error()) {
		t.Errorf("the log does not say so: %s", s.log)
	}
	second.Close()
	until(t, "room", func() bool {
		nc := s.dial(doorHTTP)
		defer nc.Close()
		resp, _ := get(t, nc, "x.localhost")
		return resp.StatusCode == 200
	})
}

// Those whom a trusted front brings have its address, and are not counted by it.
func TestTrustedProxiesAreNotCounted(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	s := serve(t, Config{ConnectionsPerAddress: 2, TrustedProxies: []netip.Prefix{loopback}}, nil, doorHTTP)
	for n := range 5 {
		if resp, _ := get(t, s.dial(doorHTTP), "localhost"); resp.StatusCode != 200 {
			t.Errorf("connection %d: %d", n, resp.StatusCode)
		}
	}
}

// A session that sends one BIND after the other has to wait.
func TestBindsArePaced(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const more = 15
	for n := range bindBurst + more {
		if m, ok := a.bind(tunnel.Bind{ID: uint32(n), Name: "-"}).(*tunnel.BindError); !ok || m.ID != uint32(n) {
			t.Fatalf("BIND %d: %+v", n, m)
		}
	}
	if took := time.Since(began); took < (more-5)*time.Second/bindRate {
		t.Errorf("%d BINDs took %v", bindBurst+more, took)
	}
}
