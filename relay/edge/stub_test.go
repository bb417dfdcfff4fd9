package edge

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"share/relay/route"
	"share/tunnel"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// A stub is an Edge whose only tunnel, at x.test, leads to a handler that
// stands for an agent. home.test is the relay's own host.
type stub struct {
	*Edge
	t      testing.TB
	tunnel *route.Tunnel
	relay  *tunnel.Session // this end of the agent's session
	plain  string          // where visitors of HTTP/1.1 connect
	second string          // where those of HTTP/2 do
	log    *lines
	doors  []net.Listener
	wg     sync.WaitGroup
}

// newStub returns a stub that is closed when the test ends. change, if not nil,
// changes the Edge's configuration.
func newStub(t testing.TB, handler func(*tunnel.Exchange), change func(*Config)) *stub {
	t.Helper()
	s := &stub{t: t, log: &lines{}}
	agent, relay := sessions(t, handler)
	s.relay = relay
	names := route.NewRegistry()
	place, err := names.Bind(context.Background(), route.Claim{Name: "x", Session: relay, Number: 7})
	if err != nil {
		t.Fatal(err)
	}
	s.tunnel = place
	cfg := Config{
		Lookup: func(host []byte) Place {
			switch string(host) {
			case "x.test":
				return Place{Tunnel: place}
			case "home.test":
				return Place{Home: true}
			}
			return Place{}
		},
		Home:   "the relay's own page\n",
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	s.Edge = New(cfg)
	s.plain = s.door(func(nc net.Conn) { s.Serve(nc, nc, nil, nil) })
	s.second = s.door(func(nc net.Conn) { s.Serve2(nc, nc, nil, nil) })
	t.Cleanup(func() {
		for _, ln := range s.doors {
			ln.Close()
		}
		agent.Close()
		relay.Close()
		s.Close()
		s.wg.Wait()
	})
	return s
}

// door has serve called for each connection to the address that it returns.
func (s *stub) door(serve func(net.Conn)) (addr string) {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.doors = append(s.doors, ln)
	s.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { serve(nc) })
		}
	})
	return ln.Addr().String()
}

// sessions returns the two ends of an agent's session. They are closed and
// waited for when the test ends.
func sessions(t testing.TB, handler func(*tunnel.Exchange)) (agent, relay *tunnel.Session) {
	t.Helper()
	a, r := net.Pipe()
	var wg sync.WaitGroup
	accepted := make(chan *tunnel.Session, 1)
	wg.Go(func() {
		defer close(accepted)
		if _, err := tunnel.ReadHello(r); err != nil {
			return
		}
		if s, err := tunnel.Accept(r, &tunnel.Welcome{}); err == nil {
			accepted <- s
			s.Serve(context.Background(), nil)
		}
	})
	agent, err := tunnel.Connect(context.Background(), a, tunnel.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { agent.Serve(context.Background(), handler) })
	relay = <-accepted
	if relay == nil {
		t.Fatal("the session was not accepted")
	}
	t.Cleanup(func() {
		agent.Close()
		relay.Close()
		wg.Wait()
	})
	return agent, relay
}

// only returns the one connection of a visitor of HTTP/1.1 that there is.
func (s *stub) only() (c *conn) {
	s.t.Helper()
	until(s.t, "one connection", func() bool {
		all := s.firsts()
		if len(all) == 1 {
			c = all[0]
		}
		return len(all) == 1
	})
	return c
}

// firsts returns the connections of visitors of HTTP/1.1.
func (s *stub) firsts() (all []*conn) {
	for _, c := range s.all(nil) {
		if c, ok := c.(*conn); ok {
			all = append(all, c)
		}
	}
	return all
}

// look is Edge.watch's look at all connections, without its wait.
func (s *stub) look() {
	for _, c := range s.all(nil) {
		c.look(time.Now())
	}
}

// A rawVisitor is one raw connection of HTTP/1.1.
type rawVisitor struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (s *stub) visit() *rawVisitor {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.plain)
	if err != nil {
		s.t.Fatal(err)
	}
	return visitorOn(s.t, nc)
}

// send sends lines, which end in LF here and in CRLF on the wire.
func (v *rawVisitor) send(text string) {
	v.t.Helper()
	if _, err := io.WriteString(v, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		v.t.Fatal(err)
	}
}

// An answered is a response and how its body ended.
type answered struct {
	*http.Response
	body string
	err  error // nil if the body is whole
}

// receive reads the response to a request of the given method.
func (v *rawVisitor) receive(method string) answered {
	v.t.Helper()
	resp, err := http.ReadResponse(v.r, &http.Request{Method: method})
	if err != nil {
		v.t.Fatalf("no response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return answered{resp, string(body), err}
}

// ends reads what is left and reports how the connection ended: io.EOF for a
// FIN.
func (v *rawVisitor) ends() (rest string, err error) {
	b, err := io.ReadAll(v.r)
	if err == nil {
		err = io.EOF
	}
	return string(b), err
}

// want checks the status and the cause that share gives in Share-Error.
func (a answered) want(t testing.TB, status int, cause string) {
	t.Helper()
	if a.Response == nil {
		t.Errorf("no response: %v; want %d %q", a.err, status, cause)
		return
	}
	if got := a.Header.Get("Share-Error"); a.StatusCode != status || got != cause {
		t.Errorf("got %d %q, want %d %q", a.StatusCode, got, status, cause)
	}
}

// lines gathers a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// respond sends a whole response of the stub agent's.
func respond(x *tunnel.Exchange, status int, body string, fields ...string) {
	r := response(status, int64(len(body)), fields...)
	if string(x.Request().Method) == "HEAD" {
		r.ContentLength, body = 0, ""
	}
	x.SendResponse(r)
	io.WriteString(x, body)
	x.End(nil)
}

// response is a head; fields are names and values in turn.
func response(status int, length int64, fields ...string) *tunnel.Response {
	r := &tunnel.Response{Status: status, Reason: []byte(http.StatusText(status)), ContentLength: length}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// until waits until is holds.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// A gate holds exchanges until it is opened. Tests defer that: one that fails
// does not wait either.
type gate struct {
	entered chan bool // one for each exchange that is held
	opened  chan bool
	open    func()
}

func newGate() *gate {
	g := &gate{entered: make(chan bool, 1000), opened: make(chan bool)}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	return g
}

// hold returns once g is open.
func (g *gate) hold() {
	g.entered <- true
	<-g.opened
}

// await fails the test unless something comes in time.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// visitThrough connects a visitor whose connection the relay sees as wrap makes
// it.
func (s *stub) visitThrough(wrap func(*net.TCPConn) net.Conn) *rawVisitor {
	s.t.Helper()
	taken := make(chan net.Conn, 1)
	addr := s.door(func(nc net.Conn) {
		wrapped := wrap(nc.(*net.TCPConn))
		taken <- wrapped
		s.Serve(wrapped, wrapped, nil, nil)
	})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	await(s.t, taken, "the connection")
	return visitorOn(s.t, nc)
}

func visitorOn(t testing.TB, nc net.Conn) *rawVisitor {
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &rawVisitor{nc, t, bufio.NewReader(nc)}
}

// dialer dials addr whatever it is asked for.
func dialer(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
}

// chunk frames a piece of a body for send.
func chunk(p []byte) string { return strconv.FormatInt(int64(len(p)), 16) + "\n" + string(p) + "\n" }
