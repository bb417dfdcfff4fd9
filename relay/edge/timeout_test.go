package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"share/tunnel"
)

func ok(x *tunnel.Exchange) { respond(x, 200, "ok") }

func TestHeadTimeout(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	var visitors []*rawVisitor
	for _, head := range []string{"G", "GET / HTTP/1.1\n", "GET / HTTP/1.1\nHost: x.test\nX: "} {
		v := s.visit()
		v.send(head)
		visitors = append(visitors, v)
	}
	for _, v := range visitors {
		a := v.receive("GET")
		if a.want(t, 408, "request_timeout"); !a.Close {
			t.Error("the answer does not say that the connection ends")
		}
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("behind the answer: %q, %v", rest, err)
		}
	}
	if !strings.Contains(s.log.String(), "status=408 cause=request_timeout by=share-relay") {
		t.Errorf("log: %s", s.log)
	}
}

// What is wrong with a later request is answered, too.
func TestBadSecondRequest(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	for second, status := range map[string]int{"GET / HTTP/1.1\nHost": 408, " ": 400, "GET / HTTP/2.2\n\n": 505} {
		v := s.visit()
		v.send("GET / HTTP/1.1\nHost: x.test\n\n" + second)
		if a := v.receive("GET"); a.body != "ok" || a.err != nil {
			t.Errorf("%q: the first answer is %q, %v", second, a.body, a.err)
		}
		if a := v.receive("GET"); a.StatusCode != status || !a.Close {
			t.Errorf("%q: got %d, want %d", second, a.StatusCode, status)
		}
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("%q: %q, %v behind the answer", second, rest, err)
		}
	}
}

// The answer to HEAD has no body, whatever is wrong with the request.
func TestHeadIsRefusedWithoutBody(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	for head, status := range map[string]string{
		"HEAD / HTTP/1.1\nHost: x.test\nX : 1\n\n":                             "400",
		"\nHEAD / HTTP/1.1\nHost: x.test\nHost: x.test\n\n":                    "400",
		"HEAD / HTTP/1.1\nHost: x.test\nX: 1\x00":                              "400",
		"HEAD / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\nx\n":     "400",
		"HEAD / HTTP/1.1\nHost: x.test\nTransfer-Encoding: gzip\n\n":           "501",
		"HEAD / HTTP/3.0\nHost: x.test\n\n":                                    "505",
		"HEAD /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\nHost: x.test\n\n": "414",
		"HEAD / HTTP/1.1\nHost":                                                "408",
	} {
		v := s.visit()
		v.send(head)
		got, err := v.ends()
		answer, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status) || body != "" || err != io.EOF {
			t.Errorf("%.60q: got %q with body %q, %v; want %s without", head, answer, body, err, status)
		}
		v.Close()
	}
}

// A visitor who was told of the timeout and still sends gets to read that.
func TestLingerOutlastsTheWatch(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	v := s.visit()
	v.send("GET / HTTP/1.1\n")
	if _, err := v.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	c := s.only()
	for range 3 {
		c.look(time.Now().Add(time.Hour))
	}
	v.send(strings.Repeat("X-Late: field\n", 5000))
	v.Conn.(*net.TCPConn).CloseWrite()
	v.receive("GET").want(t, 408, "request_timeout")
	if _, err := v.ends(); err != io.EOF {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.IdleTimeout = time.Millisecond })
	silent, used := s.visit(), s.visit()
	used.send("GET / HTTP/1.1\nHost: x.test\n\n")
	if a := used.receive("GET"); a.body != "ok" || a.Close {
		t.Errorf("%q, close %v", a.body, a.Close)
	}
	second := s.visit2()
	second.receive(second.open(true, "GET", "/"))
	for name, v := range map[string]*rawVisitor{"silent": silent, "used": used} {
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
	}
	if a := second.receive(0); a.end != "EOF" {
		t.Errorf("HTTP/2: the connection ended with %q", a.end)
	}
}

// An empty line behind a body is no request: nobody is told that one is late.
func TestEmptyLineIsIdle(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout, cfg.IdleTimeout = time.Millisecond, time.Millisecond })
	v := s.visit()
	v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: 4\n\nbody\n")
	if a := v.receive("POST"); a.body != "ok" || a.Close {
		t.Errorf("%q, close %v", a.body, a.Close)
	}
	if rest, err := v.ends(); rest != "" || err != io.EOF {
		t.Errorf("behind the answer: %q, %v", rest, err)
	}
	if s.log.has("request_timeout") {
		t.Errorf("log: %s", s.log)
	}
}

// A visitor who begins as HTTP/2 does, and then is silent, is not waited for.
func TestPrefaceTimeout(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	nc, err := net.Dial("tcp", s.second)
	if err != nil {
		t.Fatal(err)
	}
	v := visitorOn(t, nc)
	io.WriteString(v, "PRI * HTTP/2.0\r\n")
	if rest, err := v.ends(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", rest, err)
	}
}

// A hooked connection calls a function behind each Read that brought bytes.
type hooked struct {
	*net.TCPConn
	hook func()
}

func (h *hooked) Read(p []byte) (int, error) {
	n, err := h.TCPConn.Read(p)
	if n > 0 {
		h.hook()
	}
	return n, err
}

// A request whose first bytes come when its connection is about to be closed
// for being idle, or for being slow, is served: no deadline stays armed.
func TestRequestAtTheLastMoment(t *testing.T) {
	t.Parallel()
	moments := map[string]func(*conn){
		"drained": func(c *conn) { c.closeIdle() },
		"too slow": func(c *conn) {
			for range 2 {
				c.look(time.Now().Add(time.Hour))
			}
		},
	}
	s := newStub(t, func(x *tunnel.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			t.Errorf("the upload ended with %v", err)
		}
		respond(x, 200, string(body))
	}, nil)
	for name, moment := range moments {
		var v *rawVisitor
		hook := func() {
			for _, c := range s.firsts() {
				c.mu.Lock()
				early := c.phase <= phaseHead
				c.mu.Unlock()
				if early {
					moment(c)
				}
			}
		}
		v = s.visitThrough(func(nc *net.TCPConn) net.Conn { return &hooked{nc, hook} })
		for range 2 {
			v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: 8\n\nhalf")
			until(t, "the request", func() bool { return s.relay.Live() == 1 })
			v.send("half")
			if a := v.receive("POST"); a.StatusCode != 200 || a.body != "halfhalf" {
				t.Errorf("%s: %d %q, want the target's answer", name, a.StatusCode, a.body)
			}
		}
		v.Close()
	}
}

// A late connection's first bytes are there when its deadline is told.
type late struct {
	*net.TCPConn
	came, told chan struct{}
	bytes      []byte
}

func (l *late) Read(p []byte) (int, error) {
	if l.bytes == nil {
		b := make([]byte, 1<<10)
		n, err := l.TCPConn.Read(b)
		if err != nil {
			return 0, err
		}
		l.bytes = b[:n]
		close(l.came)
		<-l.told
		return 0, os.ErrDeadlineExceeded
	}
	if len(l.bytes) > 0 {
		n := copy(p, l.bytes)
		l.bytes = l.bytes[n:]
		return n, nil
	}
	return l.TCPConn.Read(p)
}

// A request that is in the socket when its connection is closed for being idle is
// served.
func TestRequestInTheSocket(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	l := &late{came: make(chan struct{}), told: make(chan struct{})}
	tell := sync.OnceFunc(func() { close(l.told) })
	t.Cleanup(tell)
	v := s.visitThrough(func(nc *net.TCPConn) net.Conn { l.TCPConn = nc; return l })
	v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: 0\n\n")
	await(t, l.came, "the request")
	if !s.only().closeIdle() {
		t.Fatal("the connection is not idle")
	}
	tell()
	if a := v.receive("POST"); a.StatusCode != 200 || a.body != "ok" {
		t.Errorf("got %d %q", a.StatusCode, a.body)
	}
	v.send("GET / HTTP/1.1\nHost: x.test\n\n") // no deadline stays armed
	if a := v.receive("GET"); a.body != "ok" {
		t.Errorf("then: %d %q", a.StatusCode, a.body)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "drained")
	}, nil)
	idle, busy, half := s.visit(), s.visit(), s.visit()
	half.send("GET / HTTP/1.1\nHost")
	busy.send("GET / HTTP/1.1\nHost: x.test\n\n")
	await(t, g.entered, "a request")
	busy2 := s.visit2()
	stream := busy2.open(true, "GET", "/")
	await(t, g.entered, "a request of HTTP/2")
	until(t, "half a head", func() bool {
		n := 0
		for _, c := range s.firsts() {
			c.mu.Lock()
			if c.phase == phaseHead {
				n++
			}
			c.mu.Unlock()
		}
		return n == 1
	})

	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	if rest, err := idle.ends(); rest != "" || err != io.EOF {
		t.Errorf("idle: %q, %v", rest, err)
	}
	half.send(": x.test\n\n")
	await(t, g.entered, "a request whose head had begun")
	select {
	case err := <-drained:
		t.Fatalf("Drain returned %v with requests open", err)
	default:
	}
	g.open()
	for name, v := range map[string]*rawVisitor{"busy": busy, "half a head": half} {
		a := v.receive("GET")
		if a.body != "drained" || a.err != nil || !a.Close {
			t.Errorf("%s: %q, %v, close %v", name, a.body, a.err, a.Close)
		}
		v.Close()
	}
	if a := busy2.receive(stream); a.body != "drained" || a.end != "END_STREAM" {
		t.Errorf("HTTP/2: %+v", a)
	}
	if err := await(t, drained, "the drain"); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if rest, err := s.visit().ends(); rest != "" || err != io.EOF {
		t.Errorf("a new visitor: %q, %v", rest, err)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	entered := make(chan bool, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		x.SendResponse(response(200, -1))
		io.WriteString(x, "never whole")
		x.Flush()
		gone := make(chan bool)
		x.OnAbort(func(*tunnel.Failure) { close(gone) })
		entered <- true
		<-gone
	}, nil)
	v := s.visit()
	v.send("GET / HTTP/1.1\nHost: x.test\n\n")
	await(t, entered, "the request")
	if _, err := v.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e := s.Edge
	s.Edge = New(Config{}) // for the stub to close
	if err := e.Drain(ctx); err == nil {
		t.Error("Drain reports that all has ended")
	}
	e.Close()
	if rest, err := v.ends(); strings.HasSuffix(rest, "0\r\n\r\n") || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the answer ended with %q, %v", rest, err)
	}
}

// shed calls Shed again and again, as a relay does that has no descriptors, until
// stop: one call misses a connection that is just coming to be idle.
func (s *stub) shed() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			s.Shed()
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// Shed makes room without harm to a request.
func TestShed(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "ok")
	}, nil)
	var idle []*rawVisitor
	for range 5 {
		idle = append(idle, s.visit())
	}
	busy := s.visit()
	busy.send("GET / HTTP/1.1\nHost: x.test\n\n")
	await(t, g.entered, "the request")
	until(t, "all connections", func() bool { return len(s.all(nil)) == 6 })
	stop := s.shed()
	for _, v := range idle {
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("idle: %q, %v", rest, err)
		}
	}
	stop()
	g.open()
	if a := busy.receive("GET"); a.body != "ok" || a.Close {
		t.Errorf("busy: %q, close %v", a.body, a.Close)
	}
}
