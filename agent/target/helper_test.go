package target

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait of a test; none should come near.
const limit = 30 * time.Second

// server is a raw target: handle gets each connection, which is closed when it
// returns. All have returned when the test ends.
type server struct {
	addr  string
	mu    sync.Mutex
	conns []net.Conn
}

func serve(t testing.TB, handle func(net.Conn)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, handle)
}

func serveOn(t testing.TB, ln net.Listener, handle func(net.Conn)) *server {
	s := &server{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				if _, ok := t.(*testing.B); !ok {
					c.SetDeadline(time.Now().Add(limit))
				}
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.SetDeadline(time.Unix(1, 0))
		}
		s.mu.Unlock()
		wg.Wait()
	})
	return s
}

// accepted is how many connections have come.
func (s *server) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// head reads a message's head, less its final empty line.
func head(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
		b.WriteString(line)
	}
}

// replies is a target's handler that answers each request's head with reply.
func replies(reply string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := head(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, reply); err != nil {
				return
			}
		}
	}
}

// once is a handler that answers one head and then ends the connection, with a
// reset if rst.
func once(reply string, rst bool) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := head(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, reply)
		if rst {
			reset(c)
		}
	}
}

// reset closes c with a RST.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// outcome is what Serve returned.
type outcome struct {
	status  int
	failure *tunnel.Failure
}

// A rig is a target behind a session of its own.
type rig struct {
	t        testing.TB
	target   *Target
	relay    *tunnel.Session
	outcomes chan outcome
}

// newRig makes a Target of cfg and a session that leads to it. Unless addr is
// "", it is the target's address.
func newRig(t testing.TB, addr string, cfg Config) *rig {
	t.Helper()
	if addr != "" {
		a, err := Parse(addr)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Address = a
	}
	target, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, target: target, outcomes: make(chan outcome, 1024)}
	r.relay = session(t, func(x *tunnel.Exchange) {
		status, failure := target.Serve(x)
		select {
		case r.outcomes <- outcome{status, failure}:
		default:
		}
	})
	t.Cleanup(target.Close) // before the session's, whose exchanges it ends
	return r
}

// session opens a session over loopback TCP whose agent serves handler.
func session(t testing.TB, handler func(*tunnel.Exchange)) *tunnel.Session {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	agentConn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	relayConn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	relays := make(chan *tunnel.Session, 1)
	wg.Go(func() {
		defer close(relays)
		if _, err := tunnel.ReadHello(relayConn); err != nil {
			t.Errorf("ReadHello: %v", err)
			return
		}
		s, err := tunnel.Accept(relayConn, &tunnel.Welcome{})
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		relays <- s
		s.Serve(context.Background(), nil)
	})
	agent, err := tunnel.Connect(context.Background(), agentConn, tunnel.Hello{})
	if err != nil {
		relayConn.Close()
		wg.Wait()
		t.Fatal(err)
	}
	wg.Go(func() { agent.Serve(context.Background(), handler) })
	relay := <-relays
	if relay == nil {
		t.FailNow()
	}
	t.Cleanup(func() {
		agent.Close()
		relay.Close()
		wg.Wait()
	})
	return relay
}

// next returns what Serve returned for the next exchange that ended.
func (r *rig) next() outcome {
	r.t.Helper()
	return await(r.t, r.outcomes, "the end of Serve")
}

// keep lets what is idle in the pool be fresh, however long the machine stalls.
func (r *rig) keep() {
	r.target.pool.mu.Lock()
	defer r.target.pool.mu.Unlock()
	for _, c := range r.target.pool.idle {
		c.idleAt = time.Hour
	}
}

// await fails the test unless something comes in time.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatalf("%s: nothing after %v", what, limit)
	}
	return v
}

// until fails the test unless something is so in time.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, limit)
		}
	}
}

func (r *rig) open() *tunnel.Exchange {
	r.t.Helper()
	x, err := r.relay.Open(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return x
}
