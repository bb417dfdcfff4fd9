package target

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// A connection that ended while it was idle is noticed, so that even a POST
// gets a new one.
func TestIdleConnectionDied(t *testing.T) {
	for _, rst := range []bool{false, true} {
		t.Run(fmt.Sprintf("rst=%v", rst), func(t *testing.T) {
			idle, closed := make(chan bool, 3), make(chan bool, 3)
			defer close(idle)
			s := serve(t, func(c net.Conn) {
				once(ok, false)(c)
				<-idle
				if rst {
					reset(c)
				}
				c.Close()
				closed <- true
			})
			r := newRig(t, s.addr, Config{})
			for range 3 {
				if a := r.ask(request("POST", "/", "Content-Length: 2"), "hi"); a.err != nil || a.body != "ok" {
					t.Fatalf("%+v", a)
				}
				r.next()
				idle <- true
				await(t, closed, "the connection's end")
			}
		})
	}
}

// What a target sends unasked is never the answer to the next request.
func TestStrayResponse(t *testing.T) {
	sent := make(chan bool, 4)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := head(r); err != nil {
			return
		}
		io.WriteString(c, ok)
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"); err == nil {
			sent <- true
		}
		head(r)
	})
	r := newRig(t, s.addr, Config{})
	for range 3 {
		if a := r.get("/"); a.err != nil || a.body != "ok" {
			t.Fatalf("%+v", a)
		}
		await(t, sent, "the stray response")
		r.next()
	}
	if n := s.accepted(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// A pooled connection that dies on a request: what may be repeated is, once;
// nothing else is delivered twice.
func TestKeepAliveRace(t *testing.T) {
	for _, test := range []struct {
		name   string
		q      *tunnel.Request
		body   string
		repeat bool
	}{
		{"GET", request("GET", "/2"), "", true},
		{"HEAD", request("HEAD", "/2"), "", true},
		{"OPTIONS", request("OPTIONS", "/2"), "", true},
		{"TRACE", request("TRACE", "/2"), "", true},
		{"GET with a body", request("GET", "/2", "Content-Length: 2"), "hi", false},
		{"POST", request("POST", "/2", "Content-Length: 2"), "hi", false},
		{"POST without a body", request("POST", "/2", "Idempotency-Key: x"), "", false},
		{"DELETE", request("DELETE", "/2"), "", false},
		{"get", request("get", "/2"), "", false},
		{"upgrade", request("GET", "/2", "Upgrade: websocket"), "", false},
	} {
		for _, end := range []string{"FIN", "RST", "half an answer"} {
			t.Run(test.name+" "+end, func(t *testing.T) {
				got := make(chan string, 8)
				s := serve(t, func(c net.Conn) {
					r := bufio.NewReader(c)
					for n := 0; ; n++ {
						h, err := head(r)
						if err != nil {
							return
						}
						got <- strings.Fields(h)[1]
						switch {
						case n == 0:
							io.WriteString(c, strings.Replace(ok, "Content-Length: 2", "Content-Length: 2\r\nX: 1", 1)[:len(ok)+6])
							continue
						case end == "RST":
							reset(c)
						case end != "FIN":
							io.WriteString(c, "HTTP/1.1")
						}
						return
					}
				})
				r := newRig(t, s.addr, Config{})
				if a := r.get("/1"); a.err != nil || a.status != 200 {
					t.Fatalf("%+v", a)
				}
				r.next()
				r.keep()
				a := r.ask(test.q, test.body)
				want := 2
				if end == "half an answer" {
					failed(t, a, tunnel.TargetIncomplete)
				} else if test.repeat {
					want = 3
					if a.err != nil || a.status != 200 {
						t.Errorf("%+v", a)
					}
				} else {
					failed(t, a, tunnel.TargetClosed)
				}
				if r.next(); len(got) != want {
					t.Errorf("%d requests reached the target, want %d", len(got), want)
				}
			})
		}
	}
}

// A repeated request whose new connection dies too is not repeated again.
func TestRepeatsOnce(t *testing.T) {
	got := make(chan string, 8)
	var conns atomic.Int32
	s := serve(t, func(c net.Conn) {
		first := conns.Add(1) == 1
		r := bufio.NewReader(c)
		for {
			h, err := head(r)
			if err != nil {
				return
			}
			got <- h
			if !first || len(got) > 1 {
				return
			}
			io.WriteString(c, ok)
		}
	})
	r := newRig(t, s.addr, Config{})
	r.get("/")
	r.next()
	r.keep()
	failed(t, r.get("/"), tunnel.TargetClosed)
	if len(got) != 3 {
		t.Errorf("%d requests reached the target, want 3", len(got))
	}
}

func TestHeaderTimeout(t *testing.T) {
	ended := make(chan error, 1)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := head(r); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200")
		_, err := r.ReadByte()
		ended <- err
	})
	r := newRig(t, s.addr, Config{HeaderTimeout: 50 * time.Millisecond})
	failed(t, r.get("/"), tunnel.TargetTimeout)
	if err := await(t, ended, "the connection's end"); err == io.EOF {
		t.Errorf("the target saw a clean end")
	}
}

// The wait for a head begins with the last byte that the target took.
func TestHeaderTimeoutMoves(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := head(r); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, r, 10); err == nil {
			io.WriteString(c, ok)
		}
	})
	var a *answer
	// A machine that stalls for as long gets more time.
	for _, timeout := range []time.Duration{400 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
		r := newRig(t, s.addr, Config{HeaderTimeout: timeout})
		x := r.open()
		x.SendRequest(request("POST", "/", "Content-Length: 10"))
		for range 10 {
			io.WriteString(x, "x")
			x.Flush()
			<-time.After(timeout / 5)
		}
		x.End(nil)
		a = receive(x)
		x.Close()
		if a.err == nil && a.body == "ok" {
			return
		}
	}
	t.Errorf("%+v", a)
}

// pipeConn is a connection to nobody.
func pipeConn(t *testing.T) *conn {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	c := newConn(a)
	c.keep = keepIdle
	return c
}

func TestPoolOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(time.Minute)
		defer p.close()
		a, b := pipeConn(t), pipeConn(t)
		for _, c := range []*conn{a, b} {
			if !p.add(c) {
				t.Fatal("add")
			}
		}
		for _, c := range []*conn{a, b} {
			if !p.put(c) || !c.reused {
				t.Fatal("put")
			}
		}
		if p.take(true) != b || p.take(true) != a || p.take(true) != nil {
			t.Error("not last in, first out")
		}
		if !b.alive() {
			t.Error("an open connection is not alive")
		}
		p.drop(b)
		p.put(a)
		time.Sleep(keepSure + 2*maxTick)
		if p.take(false) != nil {
			t.Errorf("one idle for %v carries what cannot be repeated", keepSure)
		}
		if p.take(true) != a {
			t.Error("a young one is not taken")
		}
		p.put(a)
		time.Sleep(keepIdle + 2*maxTick)
		if p.take(true) != nil {
			t.Errorf("one idle for more than %v is taken", keepIdle)
		}
		if _, err := a.Write([]byte{0}); err == nil {
			t.Error("one idle for too long is open")
		}
		if p.ticking {
			t.Error("an empty pool has a timer")
		}
	})
}

func TestPoolBounds(t *testing.T) {
	p := newPool(time.Minute)
	conns := make([]*conn, maxIdle+1)
	for i := range conns {
		conns[i] = pipeConn(t)
		p.add(conns[i])
	}
	for i, c := range conns {
		if got, want := p.put(c), i < maxIdle; got != want {
			t.Errorf("put %d: %v, want %v", i, got, want)
		}
	}
	busy := p.take(true)
	p.close()
	if _, err := busy.Write([]byte{0}); err == nil {
		t.Error("a connection in use outlived close")
	}
	if p.put(busy) || p.add(conns[0]) || p.take(true) != nil {
		t.Error("a closed pool goes on")
	}
}

func TestKeepAliveTimeout(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"timeout=5": 5 * time.Second, "max=100, Timeout=3": 3 * time.Second, "timeout=": 0, "timeout=0": 0,
		"timeout=99999999999999999999": time.Hour, "": time.Hour, "max=2": time.Hour, "timeout=x": 0,
	} {
		if got := keepAliveTimeout([]byte(in)); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// A server that says that it closes at once is believed, also when its body has
// taken the place of the head.
func TestKeepAliveOfServer(t *testing.T) {
	for _, size := range []int{0, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := serve(t, replies(fmt.Sprintf("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nX-Long: %s\r\nContent-Length: %d\r\n\r\n%s",
				strings.Repeat("y", smallBuffer), size, strings.Repeat("x", size))))
			r := newRig(t, s.addr, Config{})
			r.get("/")
			r.get("/")
			if n := s.accepted(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}
