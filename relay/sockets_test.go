package relay

import (
	"net"
	"runtime"
	"strings"
	"testing"

	"share/relay/handover"
)

// listener returns one at addr, and its address.
func listener(t *testing.T, addr string) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// Which of the sockets that were given is taken for what is asked for.
func TestSockets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no socket can be given")
	}
	ln := listener(t, "127.0.0.1:0")
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	tests := []struct {
		name       string
		given      handover.Socket
		kind, addr string
		want       bool
	}{
		{"the same", handover.Socket{Kind: "http", Addr: addr}, "http", addr, true},
		{"any port, as before", handover.Socket{Kind: "http", Addr: "127.0.0.1:0"}, "http", "127.0.0.1:0", true},
		{"any port of another use", handover.Socket{Kind: "http", Addr: "127.0.0.1:0"}, "https", "127.0.0.1:0", false},
		{"for another use", handover.Socket{Kind: "http", Addr: addr}, "https", addr, true},
		{"written in another way", handover.Socket{Kind: "http", Addr: "localhost:" + port}, "http", addr, true},
		{"at another address", handover.Socket{Kind: "http", Addr: addr}, "http", "127.0.0.2:" + port, false},
		{"at all addresses", handover.Socket{Kind: "http", Addr: addr}, "http", ":" + port, false},
		{"systemd's, by name", handover.Socket{Kind: "https", Activated: true}, "https", ":443", true},
		{"systemd's, by address", handover.Socket{Kind: "share.socket", Activated: true}, "https", addr, true},
		{"systemd's for something else", handover.Socket{Kind: "share.socket", Activated: true}, "https", "127.0.0.2:0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := new(Sockets)
			f, err := ln.File()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.give(tt.given, f); err != nil {
				t.Fatal(err)
			}
			got := s.take(handover.Socket{Kind: tt.kind, Net: "tcp", Addr: tt.addr})
			if (got != nil) != tt.want {
				t.Fatalf("got %+v, want one: %v", got, tt.want)
			}
			s.CloseRest()
			if got == nil {
				return
			}
			defer got.close()
			if got.addr().String() != addr {
				t.Errorf("it listens at %s", got.addr())
			}
			as, conns, err := s.offer()
			if err != nil || len(as) != 1 || len(conns) != 1 || as[0].Kind != tt.kind || as[0].Addr != tt.addr || as[0].Activated != tt.given.Activated {
				t.Errorf("the next process is offered %+v, %v", as, err)
			}
		})
	}
}

// What was not given is opened, and offered to the next process; what is no
// listener is refused.
func TestSocketsOpen(t *testing.T) {
	s := new(Sockets)
	ln, err := s.Listen("http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := s.ListenPacket("dns", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if as, conns, err := s.offer(); err != nil || len(as) != 2 || len(conns) != 2 || as[1].Net != "udp" {
		t.Errorf("the next process is offered %+v, %v", as, err)
	}
	var none *Sockets
	if ln, err := none.Listen("http", "127.0.0.1:0"); err != nil {
		t.Error(err)
	} else {
		ln.Close()
	}
	if got := none.Activated("http", ":80"); got != ":80" {
		t.Errorf("a socket of nobody at %s", got)
	}
}

// A socket that systemd opened makes a door without a flag.
func TestAddressesActivated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no socket can be given")
	}
	ln := listener(t, "127.0.0.1:0")
	a := Addresses{Sockets: new(Sockets)}
	activate(t, a.Sockets, "agents", ln)
	activate(t, a.Sockets, "http", listener(t, "127.0.0.1:0"))
	if err := a.Check(&Config{}); err != nil {
		t.Fatal(err)
	}
	doors, err := a.Listen()
	if err != nil || len(doors) != 2 || doors[1].Kind != doorAgents || doors[1].Addr().String() != ln.Addr().String() {
		t.Errorf("got %+v, %v", doors, err)
	}
	for _, d := range doors {
		d.Close()
	}
}

// activate gives s the socket of ln, as systemd would.
func activate(t *testing.T, s *Sockets, name string, ln *net.TCPListener) {
	t.Helper()
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Activate(name, f); err != nil {
		t.Fatal(err)
	}
}

// Who can come counts by where systemd listens, whatever the flags say.
func TestActivatedBeyond(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no socket can be given")
	}
	sockets := func(kind string) *Sockets {
		s := new(Sockets)
		t.Cleanup(s.CloseRest)
		activate(t, s, kind, listener(t, ":0"))
		return s
	}
	a := Addresses{HTTP: "127.0.0.1:7070", Sockets: sockets("http")}
	if err := a.Check(&Config{}); err != nil || !a.Beyond() {
		t.Errorf("visitors: %v; beyond this machine: %v", err, a.Beyond())
	}
	a = Addresses{HTTP: "127.0.0.1:7070", Agents: "127.0.0.1:7071", Sockets: sockets("agents")}
	if err := a.Check(&Config{}); err == nil || !strings.Contains(err.Error(), "in plain") {
		t.Errorf("agents: %v", err)
	}
	for _, flag := range []string{"127.0.0.1:9090", ""} {
		a = Addresses{HTTP: "127.0.0.1:7070", Sockets: sockets("admin")}
		remote := RemoteAddress{Addr: flag}
		if err := remote.Check(&a); err == nil || !strings.Contains(err.Error(), "in plain") {
			t.Errorf("operators, with the flag %q: %v", flag, err)
		}
	}
}

// Of several sockets with a name the one at the flag's address is taken.
func TestActivatedAtTheAddress(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no socket can be given")
	}
	s := new(Sockets)
	t.Cleanup(s.CloseRest)
	activate(t, s, "https", listener(t, "127.0.0.1:0"))
	second := listener(t, "127.0.0.1:0")
	activate(t, s, "https", second)
	addr := second.Addr().String()
	if got := s.Activated("https", addr); got != addr {
		t.Errorf("got %s, want %s", got, addr)
	}
	ln, err := s.Listen("https", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if got := ln.Addr().String(); got != addr {
		t.Errorf("got %s, want %s", got, addr)
	}
}
