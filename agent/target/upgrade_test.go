package target

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"share/tunnel"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nX: y\r\n\r\n"

func websocket() *tunnel.Request { return request("GET", "/ws", "Upgrade: chat, websocket") }

// upgraded opens an exchange and has it upgraded.
func upgraded(t *testing.T, r *rig) *tunnel.Exchange {
	t.Helper()
	x := r.open()
	x.SendRequest(websocket())
	x.Flush()
	a := receiveHead(x)
	if a.err != nil || a.status != 101 || a.flags&tunnel.ResponseUpgrade == 0 || a.header != "Upgrade: WebSocket\nX: y\n" {
		t.Fatalf("%+v", a)
	}
	return x
}

func TestUpgradeEcho(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head(r)
		io.WriteString(c, switching+"hello")
		io.Copy(c, r)
		c.(*net.TCPConn).CloseWrite()
		r.ReadByte()
	})
	r := newRig(t, s.addr, Config{})
	x := upgraded(t, r)
	defer x.Close()
	want := "hello" + noise(300_000)
	go func() { // ends with the exchange
		io.WriteString(x, want[5:])
		x.End(nil)
	}()
	a := &answer{}
	receiveBody(x, a)
	if a.err != nil || a.body != want {
		t.Errorf("got %d bytes, %v; want %d", len(a.body), a.err, len(want))
	}
	if o := r.next(); o.status != 101 || o.failure != nil {
		t.Errorf("Serve returned %+v", o)
	}
}

// Each side may end its half and still hear the other.
func TestUpgradeHalfClose(t *testing.T) {
	t.Run("target first", func(t *testing.T) {
		got := make(chan string, 1)
		s := serve(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			head(r)
			io.WriteString(c, switching+"bye")
			c.(*net.TCPConn).CloseWrite()
			b, err := io.ReadAll(r)
			if err != nil {
				b = append(b, err.Error()...)
			}
			got <- string(b)
		})
		r := newRig(t, s.addr, Config{})
		x := upgraded(t, r)
		defer x.Close()
		a := &answer{}
		if receiveBody(x, a); a.err != nil || a.body != "bye" {
			t.Fatalf("%+v", a)
		}
		io.WriteString(x, "still here")
		x.End(nil)
		if g := await(t, got, "the visitor's end"); g != "still here" {
			t.Errorf("the target got %q", g)
		}
	})
	t.Run("visitor first", func(t *testing.T) {
		s := serve(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			head(r)
			io.WriteString(c, switching)
			b, _ := io.ReadAll(r)
			io.WriteString(c, strings.ToUpper(string(b)))
		})
		r := newRig(t, s.addr, Config{})
		x := upgraded(t, r)
		defer x.Close()
		io.WriteString(x, "hello")
		x.End(nil)
		a := &answer{}
		if receiveBody(x, a); a.err != nil || a.body != "HELLO" {
			t.Errorf("%+v", a)
		}
	})
}

// A target's reset is passed on as one, whoever meets it first.
func TestUpgradeReset(t *testing.T) {
	for _, busy := range []bool{false, true} {
		goOn := make(chan bool, 1)
		s := serve(t, func(c net.Conn) {
			head(bufio.NewReader(c))
			io.WriteString(c, switching+"some")
			select {
			case <-goOn:
			case <-t.Context().Done(): // done before the cleanup, also of a test that fails
			}
			reset(c)
		})
		r := newRig(t, s.addr, Config{})
		x := upgraded(t, r)
		if busy {
			go func() { // ends with the exchange
				for {
					if _, err := io.WriteString(x, "x"); err != nil || x.Flush() != nil {
						return
					}
				}
			}()
		}
		goOn <- true
		a := &answer{}
		receiveBody(x, a)
		cut(t, a, tunnel.TargetIncomplete)
		if a.body != "some" {
			t.Errorf("got %q before the reset", a.body)
		}
		if o := r.next(); o.status != 101 || o.failure == nil {
			t.Errorf("Serve returned %+v", o)
		}
		x.Close()
	}
}

// A target that is gone for good takes no more bytes, and the visitor learns it.
func TestUpgradeTargetGone(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		head(bufio.NewReader(c))
		io.WriteString(c, switching+"bye")
	})
	r := newRig(t, s.addr, Config{})
	x := upgraded(t, r)
	defer x.Close()
	a := &answer{}
	if receiveBody(x, a); a.err != nil || a.body != "bye" {
		t.Fatalf("%+v", a)
	}
	for began := time.Now(); ; {
		if _, err := io.WriteString(x, strings.Repeat("x", 10_000)); err != nil || x.Flush() != nil {
			break
		}
		if time.Since(began) > limit {
			t.Fatal("bytes go nowhere without an error")
		}
	}
	if o := r.next(); o.failure == nil || o.failure.Cause != tunnel.TargetIncomplete {
		t.Errorf("Serve returned %+v", o)
	}
}

// A visitor's reset reaches the target as one.
func TestUpgradeVisitorResets(t *testing.T) {
	ended := make(chan error, 1)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head(r)
		io.WriteString(c, switching)
		_, err := r.ReadByte()
		ended <- err
	})
	r := newRig(t, s.addr, Config{})
	x := upgraded(t, r)
	x.Abort(tunnel.Fail(tunnel.VisitorGone, nil))
	x.Close()
	if err := await(t, ended, "the connection's end"); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the target saw %v", err)
	}
	if o := r.next(); o.failure == nil {
		t.Errorf("Serve returned %+v", o)
	}
}

func TestUpgradeRefused(t *testing.T) {
	for _, test := range []struct {
		name, reply string
		status      int
	}{
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403},
		{"200", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, replies(test.reply))
			r := newRig(t, s.addr, Config{})
			for range 2 {
				a := r.ask(websocket(), "")
				if a.err != nil || a.status != test.status || a.body != "no" || a.flags != 0 {
					t.Fatalf("%+v", a)
				}
				if o := r.next(); o.status != test.status || o.failure != nil {
					t.Errorf("Serve returned %+v", o)
				}
			}
			if n := s.accepted(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestUpgradeFailures(t *testing.T) {
	for _, test := range []struct {
		name, reply string
		cause       tunnel.Cause
	}{
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", tunnel.UpgradeFailed},
		{"one too many", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket, other\r\n\r\n", tunnel.UpgradeFailed},
		{"none said", "HTTP/1.1 101 Switching Protocols\r\n\r\n", tunnel.UpgradeFailed},
		{"closes", "", tunnel.TargetClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, once(test.reply, false))
			r := newRig(t, s.addr, Config{})
			failed(t, r.ask(websocket(), ""), test.cause)
		})
	}
	r := newRig(t, closedPort(t), Config{})
	failed(t, r.ask(websocket(), ""), tunnel.TargetRefused)
}
