package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"share/tunnel"
)

// fakeRelay takes agents on loopback and shows their tunnels under one public
// URL, whatever the name.
type fakeRelay struct {
	t      *testing.T
	ln     net.Listener
	addr   string
	public *httptest.Server
	wg     sync.WaitGroup

	// Set before the agent starts. admit may refuse a session, answer a Bind
	// with another message than Bound.
	admit  func(*tunnel.Hello) *tunnel.RejectError
	answer func(*tunnel.Bind) tunnel.Message

	mu       sync.Mutex
	hellos   []*tunnel.Hello           // guarded by mu
	binds    []*tunnel.Bind            // guarded by mu
	sessions []*tunnel.Session         // guarded by mu
	health   chan *tunnel.TargetHealth // what agents reported
	drains   chan *tunnel.Drain        // that agents began
	lanes    chan net.Conn             // that joined a session
	bound    chan *tunnel.Session      // sessions whose Bind was answered with Bound
}

func newFakeRelay(t *testing.T) *fakeRelay {
	t.Helper()
	r := &fakeRelay{t: t, health: make(chan *tunnel.TargetHealth, 64), drains: make(chan *tunnel.Drain, 64), lanes: make(chan net.Conn, 64), bound: make(chan *tunnel.Session, 64)}
	r.public = httptest.NewServer(http.HandlerFunc(r.serveVisitor))
	r.listen("127.0.0.1:0")
	t.Cleanup(func() {
		r.public.Close()
		r.stop()
	})
	return r
}

// listen takes agents at addr until stop.
func (r *fakeRelay) listen(addr string) {
	r.t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.ln, r.addr = ln, ln.Addr().String()
	r.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serveAgent(conn) })
		}
	})
}

// stop closes the door and cuts all sessions, as a killed relay does.
func (r *fakeRelay) stop() {
	r.ln.Close()
	r.mu.Lock()
	sessions := r.sessions
	r.sessions = nil
	r.mu.Unlock()
	for _, s := range sessions {
		s.Close()
	}
	r.wg.Wait()
}

func (r *fakeRelay) serveAgent(conn net.Conn) {
	h, err := tunnel.ReadHello(conn)
	if err != nil {
		conn.Close()
		return
	}
	r.mu.Lock()
	r.hellos = append(r.hellos, h)
	r.mu.Unlock()
	if h.Kind == tunnel.KindLane {
		if s := r.latest(); s != nil && s.Welcome.LaneSecret == h.LaneSecret {
			select {
			case r.lanes <- conn:
				s.Accept(conn, h)
			case <-r.t.Context().Done(): // before the cleanup, also of a test that fails
				conn.Close()
			}
			return
		}
		conn.Close()
		return
	}
	if r.admit != nil {
		if e := r.admit(h); e != nil {
			tunnel.Reject(conn, e)
			conn.Close()
			return
		}
	}
	welcome := &tunnel.Welcome{Account: "test"}
	if h.Kind == tunnel.KindProbe {
		welcome.Write(conn, h.Kind)
		conn.Close()
		return
	}
	s, err := tunnel.Accept(conn, welcome)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.sessions = append(r.sessions, s)
	r.mu.Unlock()
	r.wg.Go(func() { r.talk(s) })
	s.Serve(context.Background(), nil)
}

func (r *fakeRelay) talk(s *tunnel.Session) {
	for {
		m, err := s.Receive(context.Background())
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *tunnel.Bind:
			r.mu.Lock()
			r.binds = append(r.binds, m)
			r.mu.Unlock()
			var reply tunnel.Message = &tunnel.Bound{ID: m.ID, Tunnel: 7, Name: relayName(m), URL: r.public.URL}
			if r.answer != nil {
				if other := r.answer(m); other != nil {
					reply = other
				}
			}
			s.Send(reply)
			if _, ok := reply.(*tunnel.Bound); ok {
				r.bound <- s
			}
		case *tunnel.TargetHealth:
			r.health <- m
		case *tunnel.Drain:
			r.drains <- m
			r.wg.Go(func() { s.Finish(context.Background()) })
		}
	}
}

// relayName is the name that a relay gives for m.
func relayName(m *tunnel.Bind) string {
	if m.Name != "" {
		return m.Name
	}
	return "n-" + m.Seed
}

func (r *fakeRelay) latest() *tunnel.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sessions) == 0 {
		return nil
	}
	return r.sessions[len(r.sessions)-1]
}

// waitBound returns the next session that was bound.
func (r *fakeRelay) waitBound() *tunnel.Session {
	r.t.Helper()
	return await(r.t, r.bound, "an agent that binds a name")
}

// An answer is what came back for one exchange.
type answered struct {
	status int
	header tunnel.Header
	body   string
	err    error
}

// ask runs one exchange over s.
func ask(s *tunnel.Session, req *tunnel.Request) (a answered) {
	x, err := s.Open(context.Background())
	if err != nil {
		return answered{err: err}
	}
	defer x.Close()
	if a.err = errors.Join(x.SendRequest(req), x.End(nil)); a.err != nil {
		return a
	}
	resp, err := x.ReceiveResponse()
	if err != nil {
		a.err = err
		return a
	}
	a.status = resp.Status
	for _, f := range resp.Header {
		a.header.Add(string(f.Name), string(f.Value))
	}
	body, err := io.ReadAll(x)
	a.body, a.err = string(body), err
	return a
}

func get(path string, fields ...string) *tunnel.Request {
	r := &tunnel.Request{ID: []byte("id" + path), Tunnel: 7, Method: []byte("GET"), Target: []byte(path), Flags: tunnel.RequestReplayable}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// serveVisitor is the public URL.
func (r *fakeRelay) serveVisitor(w http.ResponseWriter, req *http.Request) {
	s := r.latest()
	if s == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var fields []string
	for k, vs := range req.Header {
		fields = append(fields, k, vs[0])
	}
	a := ask(s, get(req.URL.Path, fields...))
	if a.err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for _, f := range a.header {
		w.Header().Add(string(f.Name), string(f.Value))
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}
