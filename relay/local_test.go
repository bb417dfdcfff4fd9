package relay

import (
	"context"
	"errors"
	"net"
	"testing"

	"share/tunnel"
)

func TestListenLocal(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	first, err := listenLocal(portOf(taken), nil, nil)
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
	second, err := listenLocal(free, nil, []int{0, free})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(second)
	if got := portOf(second[0]); got == free {
		t.Errorf("got port %d, which is to be avoided", got)
	}
}

func TestLocalDialWithoutServe(t *testing.T) {
	l, err := NewLocal("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err := l.Dial(t.Context()); err == nil {
		conn.Close()
		t.Error("a relay that does not serve is dialled")
	}
}

// A Local serves its agent at localhost, and ends with it.
func TestLocalServe(t *testing.T) {
	l, err := NewLocal("", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := errors.New("the agent's end")
	err = l.Serve(t.Context(), func(ctx context.Context) error {
		conn, err := l.Dial(ctx)
		if err != nil {
			return err
		}
		a, err := connect(t, conn, tunnel.Hello{}, say("local"), &tunnel.Bind{ID: 1, Kind: "http", Name: "x"})
		if err != nil {
			return err
		}
		if m, ok := a.receive().(*tunnel.Bound); !ok {
			t.Errorf("got %+v", m)
		}
		for _, d := range l.doors {
			nc, err := net.Dial("tcp", d.Addr().String())
			if err != nil {
				return err
			}
			if _, body := get(t, nc, d.Addr().String()); body != "local" {
				t.Errorf("%s answers %q", d.Addr(), body)
			}
			nc.Close()
		}
		a.Close()
		return ended
	})
	if err != ended {
		t.Errorf("Serve returned %v", err)
	}
	if conn, err := l.Dial(t.Context()); err == nil {
		conn.Close()
		t.Error("a relay that has ended is dialled")
	}
}

// An agent whose relay fails is stopped.
func TestLocalFails(t *testing.T) {
	l, err := NewLocal("", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Serve(t.Context(), func(ctx context.Context) error {
		l.doors[0].Close()
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, errAccept) {
		t.Errorf("Serve returned %v", err)
	}
}
