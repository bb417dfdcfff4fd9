package relay

import (
	"net"
	"testing"
)

func TestListenLoopback(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	first, err := listenLoopback(portOf(taken), 0)
	if err != nil {
		t.Fatal(err)
	}
	free := portOf(first[0])
	for _, ln := range first {
		if got := portOf(ln); got == portOf(taken) || got != free {
			t.Errorf("got port %d at %s, want that of the others and not %d", got, ln.Addr(), portOf(taken))
		}
		if !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("%s is not on loopback", ln.Addr())
		}
	}
	closeAll(first)

	// The target's port is left to the target, which may not listen yet.
	second, err := listenLoopback(free, free)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(second)
	if got := portOf(second[0]); got == free {
		t.Errorf("got port %d, which is to be avoided", got)
	}
}

func TestLocalDialWithoutServe(t *testing.T) {
	l, err := NewLocal(0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err := l.Dial(t.Context()); err == nil {
		conn.Close()
		t.Error("a relay that does not serve is dialled")
	}
}
