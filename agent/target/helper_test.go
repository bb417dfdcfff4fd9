package target

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
const limit = 10 * time.Second

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
	select {
	case o := <-r.outcomes:
		return o
	case <-time.After(limit):
		r.t.Fatal("Serve did not return")
		panic("unreachable")
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

// request makes a request's head. Fields are "Name: value"; a Content-Length
// among them sets the length, "Transfer-Encoding" makes it unknown and is not
// sent.
func request(method, path string, fields ...string) *tunnel.Request {
	q := &tunnel.Request{
		ID:        []byte("id-1"),
		Method:    []byte(method),
		Target:    []byte(path),
		Authority: []byte("x.localhost"),
		Client:    []byte("192.0.2.1:1234"),
	}
	if !strings.HasPrefix(strings.Join(fields, "\n"), "Host:") {
		q.Header.Add("Host", "x.localhost")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		switch name {
		case "Transfer-Encoding":
			q.ContentLength = -1
			continue
		case "Content-Length":
			fmt.Sscan(value, &q.ContentLength)
		case "Upgrade":
			q.Flags |= tunnel.RequestUpgrade
		}
		q.Header.Add(name, value)
	}
	if q.ContentLength != 0 {
		q.Flags |= tunnel.RequestBody
	} else if q.Flags == 0 && (method == "GET" || method == "HEAD") {
		q.Flags |= tunnel.RequestReplayable
	}
	return q
}

// An answer is what came back for an exchange.
type answer struct {
	interim  []string // "103 Link=x"
	status   int
	reason   string
	flags    tunnel.ResponseFlags
	length   int64
	header   string // "Name: value\n", as received
	body     string
	trailers string
	err      error // why it was cut; nil if it ended well
}

// has reports whether the answer bears the field.
func (a *answer) has(field string) bool {
	return strings.Contains("\n"+a.header, "\n"+field+"\n")
}

func lines(h tunnel.Header) string {
	var b strings.Builder
	for _, f := range h {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

// receive reads an answer to its end.
func receive(x *tunnel.Exchange) *answer {
	a := receiveHead(x)
	if a.err == nil {
		receiveBody(x, a)
	}
	return a
}

func receiveHead(x *tunnel.Exchange) *answer {
	a := &answer{}
	for {
		resp, err := x.ReceiveResponse()
		if err != nil {
			a.err = err
			return a
		}
		if resp.Interim() {
			a.interim = append(a.interim, fmt.Sprint(resp.Status, " ", strings.TrimSpace(lines(resp.Header))))
			continue
		}
		a.status, a.reason, a.flags = resp.Status, string(resp.Reason), resp.Flags
		a.length, a.header = resp.ContentLength, lines(resp.Header)
		return a
	}
}

func receiveBody(x *tunnel.Exchange, a *answer) {
	var body strings.Builder
	for {
		p, err := x.Data()
		body.Write(p)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.err = err
			}
			break
		}
	}
	a.body, a.trailers = body.String(), lines(x.Trailers())
}

// ask sends a request with its whole body and reads the answer.
func (r *rig) ask(q *tunnel.Request, body string) *answer {
	r.t.Helper()
	x := r.open()
	defer x.Close()
	return askOn(x, q, body)
}

// askOn is ask on an exchange that the caller closes. The answer may come
// before the body has left.
func askOn(x *tunnel.Exchange, q *tunnel.Request, body string) *answer {
	if err := x.SendRequest(q); err != nil {
		return &answer{err: err}
	}
	sent := make(chan error, 1)
	go func() { // ended by the body's end, STOP or a failure of x
		_, err := io.WriteString(x, body)
		if err == nil {
			err = x.End(nil)
		}
		sent <- err
	}()
	a := receive(x)
	if err := <-sent; err != nil && !errors.Is(err, tunnel.ErrStopped) && a.err == nil {
		a.err = err
	}
	return a
}

func (r *rig) get(path string) *answer {
	r.t.Helper()
	return r.ask(request("GET", path), "")
}

// failed checks that an answer is the complete one of a failure.
func failed(t testing.TB, a *answer, cause tunnel.Cause) {
	t.Helper()
	if a.err != nil || a.status != cause.Status() || !a.has("Share-Error: "+cause.String()) || a.flags&tunnel.ResponseAgent == 0 {
		t.Fatalf("got %d, %v, %q; want %d of %v", a.status, a.err, a.header, cause.Status(), cause)
	}
	if want := "share-agent; error=" + cause.ProxyError() + ";"; !strings.Contains(a.header, "Proxy-Status: "+want) {
		t.Errorf("no Proxy-Status %q in %q", want, a.header)
	}
	if a.length > 0 && !strings.Contains(a.body, cause.String()) {
		t.Errorf("body %q does not name the cause", a.body)
	}
}

// cut checks that an answer ended as a failure of the given cause after its
// head.
func cut(t testing.TB, a *answer, cause tunnel.Cause) {
	t.Helper()
	f, ok := errors.AsType[*tunnel.Failure](a.err)
	if !ok || f.Cause != cause {
		t.Fatalf("got status %d, body of %d bytes, error %v; want it cut by %v", a.status, len(a.body), a.err, cause)
	}
}
