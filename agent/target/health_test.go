package target

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel"
)

// A switchboard is a target that tests turn on and off; no socket is involved.
type switchboard struct {
	mu    sync.Mutex
	err   error
	tries []time.Time
	conns []net.Conn
}

func (s *switchboard) connect(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries = append(s.tries, time.Now())
	if s.err != nil {
		return nil, s.err
	}
	a, b := net.Pipe()
	s.conns = append(s.conns, b)
	return a, nil
}

func (s *switchboard) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.tries = err, nil
}

func (s *switchboard) tried() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

func (s *switchboard) close() {
	for _, c := range s.conns {
		c.Close()
	}
}

func refusedError() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// board makes a Target over a switchboard, inside a bubble.
func board(t *testing.T, cfg Config) (*Target, *switchboard) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	if cfg.Address == (Address{}) {
		cfg.Address = Address{Scheme: HTTP, Host: "192.0.2.1", Port: 80}
	}
	target, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard{}
	target.dialer.connect = s.connect
	return target, s
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Health
		target, s := board(t, Config{OnHealth: func(h Health) { told = append(told, h) }})
		defer s.close()
		defer target.Close()
		s.set(refusedError())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := target.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		began := time.Now()
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		if n := len(s.tried()); n != 106 {
			t.Errorf("%d connects in the first 10.5 s while down, want 106", n)
		}
		time.Sleep(startTime)
		before := len(s.tried())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(s.tried()) - before; n != 10 {
			t.Errorf("%d connects in 10 s while down for long, want 10", n)
		}
		if len(told) != 1 || told[0].Up || told[0].Failure.Cause != tunnel.TargetRefused || !told[0].Since.Equal(began) || !told[0].LastUp.IsZero() {
			t.Errorf("told %+v", told)
		}
		s.set(context.DeadlineExceeded) // down for another reason
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(told) != 2 || told[1].Up || told[1].Failure.Cause != tunnel.TargetConnectTimeout || !told[1].Since.Equal(began) {
			t.Errorf("told %+v", told)
		}
		s.set(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.tried()); n != 1 {
			t.Errorf("%d connects in an hour while up, want the one that found it", n)
		}
		if len(told) != 3 || !told[2].Up || told[2].Failure != nil || told[2].LastUp.IsZero() {
			t.Errorf("told %+v", told)
		}
		s.set(refusedError())
		if _, f := target.dial(ctx); f == nil || !strings.HasSuffix(f.Detail, "(last seen up 59 min ago)") {
			t.Errorf("failure %v", f)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if h := target.Health(); len(told) != 4 || told[3].Up || h.Up || h.Note() != "last seen up 59 min ago" {
			t.Errorf("told %+v, health %+v", told, h)
		}
		s.set(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNRESET)})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(told) != 5 || !told[4].Up {
			t.Errorf("told %+v of a target that accepts and resets", told)
		}
		cancel()
		wg.Wait()
	})
}

func TestUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		target, s := board(t, Config{OnHealth: func(h Health) {
			if told++; !h.Up {
				t.Errorf("told %+v", h)
			}
		}})
		defer s.close()
		defer target.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		target.Run(ctx)
		if n := len(s.tried()); n != 1 || told != 1 {
			t.Errorf("%d connects, told %d times", n, told)
		}
		if c := target.takeSpare(); c == nil {
			t.Error("the first connection is not kept")
		} else {
			c.Close()
		}
	})
}

// With Watch, the end of a target that nobody asks for anything is noticed, and one
// that goes on is not connected to for that.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Health
		target, s := board(t, Config{Watch: true, OnHealth: func(h Health) { told = append(told, h) }})
		defer s.close()
		defer target.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { target.Run(ctx) })
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.tried()); n != 1 || len(told) != 1 || !told[0].Up {
			t.Errorf("%d connects, told %+v; want the connect that found it, and nothing more", n, told)
		}
		s.conns[0].Close() // as servers do after a while
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.tried()); n != 2 || len(told) != 1 {
			t.Errorf("%d connects, told %+v of a target that closed what was idle", n, told)
		}
		s.set(refusedError())
		s.conns[1].Close()
		gone := time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(told) != 2 || told[1].Up || told[1].Since.Sub(gone) > 2*probeEvery {
			t.Errorf("told %+v of a target that has ended", told)
		}
		s.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.tried()); n != 1 || len(told) != 3 || !told[2].Up {
			t.Errorf("%d connects, told %+v of a target that is back", n, told)
		}
		if c := target.takeSpare(); c == nil {
			t.Error("no connection is kept")
		} else {
			c.Close()
		}
		cancel()
		wg.Wait()
	})
}

// One that speaks HTTP/2 is connected to for that.
func TestWatchH2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Health
		target, s := board(t, Config{
			Address: Address{Scheme: H2C, Host: "192.0.2.1", Port: 80}, Watch: true,
			OnHealth: func(h Health) { told = append(told, h) },
		})
		defer s.close()
		defer target.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { target.Run(ctx) })
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		if n := len(s.tried()); n != 11 || len(told) != 1 || !told[0].Up {
			t.Errorf("%d connects in 10.5 s, told %+v; want 11, and that it is up", n, told)
		}
		s.set(refusedError())
		time.Sleep(time.Second)
		synctest.Wait()
		if len(told) != 2 || told[1].Up {
			t.Errorf("told %+v of a target that has ended", told)
		}
		cancel()
		wg.Wait()
	})
}

// Our own lack of descriptors says nothing of the target.
func TestHealthOfOthers(t *testing.T) {
	target, s := board(t, Config{})
	defer target.Close()
	s.set(&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)})
	if _, f := target.dial(t.Context()); f.Cause != tunnel.Overload {
		t.Errorf("got %v", f)
	}
	if h := target.Health(); !h.Since.IsZero() || h.Failure != nil {
		t.Errorf("health %+v", h)
	}
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, s := board(t, Config{Hold: 30 * time.Second})
		defer s.close()
		defer target.Close()
		s.set(refusedError())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { target.Run(ctx) })
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { s.set(nil) })
		for range 3 {
			wg.Go(func() {
				c, f := target.reach(ctx)
				if f != nil {
					t.Errorf("held: %v", f)
					return
				}
				c.Close()
				if d := time.Since(began); d < 7*time.Second || d > 7200*time.Millisecond {
					t.Errorf("held for %v", d)
				}
			})
		}
		time.Sleep(10 * time.Second)
		s.set(refusedError())
		again := time.Now()
		if _, f := target.reach(ctx); f == nil || f.Cause != tunnel.TargetRefused || time.Since(again) != 30*time.Second {
			t.Errorf("got %v after %v", f, time.Since(again))
		}
		gone, leave := context.WithTimeout(ctx, time.Second)
		defer leave()
		if _, f := target.reach(gone); f == nil || f.Cause != tunnel.VisitorGone {
			t.Errorf("visitor gone: %v", f)
		}
		cancel()
		wg.Wait()
	})
}

// A target that accepts a single connection serves its single exchange,
// although Run has looked whether it is there.
func TestOneShotTarget(t *testing.T) {
	for _, q := range []*tunnel.Request{request("GET", "/"), request("POST", "/", "Content-Length: 2")} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			c, err := ln.Accept()
			ln.Close()
			if err != nil {
				return
			}
			defer c.Close()
			head(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		})
		up := make(chan Health, 8)
		r := newRig(t, ln.Addr().String(), Config{OnHealth: func(h Health) { up <- h }})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wg.Go(func() { r.target.Run(ctx) })
		if h := await(t, up, "word of the target"); !h.Up {
			t.Fatalf("health %+v", h)
		}
		if a := r.ask(q, strings.Repeat("x", int(q.ContentLength))); a.err != nil || a.body != "ok" {
			t.Errorf("%+v", a)
		}
		failed(t, r.ask(q, strings.Repeat("x", int(q.ContentLength))), tunnel.TargetRefused)
		if h := await(t, up, "word of its end"); h.Up {
			t.Errorf("health %+v", h)
		}
		cancel()
		wg.Wait()
	}
}

// A visitor who leaves ends the wait for a held target.
func TestHoldEndsWithVisitor(t *testing.T) {
	r := newRig(t, closedPort(t), Config{Hold: time.Hour})
	x := r.open()
	x.SendRequest(request("GET", "/"))
	x.End(nil)
	until(t, "a request that is held", func() bool { return r.target.health.held.Load() > 0 })
	x.Abort(tunnel.Fail(tunnel.VisitorGone, nil))
	x.Close()
	if o := r.next(); o.status != 0 || o.failure == nil {
		t.Errorf("Serve returned %+v", o)
	}
}

// A target that comes back is found by the next request, even without Run.
func TestComesBack(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	r := newRig(t, addr, Config{})
	failed(t, r.get("/"), tunnel.TargetRefused)
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Skipf("the port was taken: %v", err)
	}
	var n atomic.Int32
	serveOn(t, ln, func(c net.Conn) { n.Add(1); replies(ok)(c) })
	if a := r.get("/"); a.err != nil || a.body != "ok" || !r.target.Health().Up {
		t.Errorf("%+v", a)
	}
}

// Close ends what is under way.
func TestCloseCuts(t *testing.T) {
	began := make(chan bool, 1)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head(r)
		began <- true
		r.ReadByte()
	})
	r := newRig(t, s.addr, Config{})
	done := make(chan *answer, 1)
	go func() { done <- r.get("/") }() // done is read below
	await(t, began, "the request")
	r.target.Close()
	failed(t, await(t, done, "the answer"), tunnel.TargetClosed)
	failed(t, r.get("/"), tunnel.Draining)
}

// So does Close, whatever the target speaks.
func TestHoldEndsWithClose(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		r := newRig(t, scheme+"://"+closedPort(t), Config{Hold: time.Hour})
		done := make(chan *answer, 1)
		go func() { done <- r.get("/") }() // done is read below
		until(t, "a request that is held", func() bool { return r.target.health.held.Load() > 0 })
		r.target.Close()
		failed(t, await(t, done, "the answer"), tunnel.Draining)
	}
}
