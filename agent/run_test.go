package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"share/agent/target"
	"share/tunnel"
	"share/tunnel/cmdline"
)

const secret = "s3cret-token"

func containsFold(s, sub string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(sub))
}

// newTarget runs handler on loopback and returns the way there.
func newTarget(t *testing.T, handler http.HandlerFunc) target.Config {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return targetAt(t, srv.Listener.Addr().String())
}

func targetAt(t *testing.T, addr string) target.Config {
	t.Helper()
	a, err := target.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	return target.Config{Address: a}
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello from "+r.URL.Path) }

// closedAddr is an address on loopback where nothing listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestRunServes(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{
		Relay: mustRelay(t, "http://"+relay.addr), Token: secret, Name: "web", Version: "1.2.3",
		Target: newTarget(t, hello), StateDir: t.TempDir(),
	})
	if e := r.event(EventConnecting); e.Relay != "http://"+relay.addr {
		t.Errorf("connecting to %q", e.Relay)
	}
	ready := r.event(EventReady)
	if !ready.Verified || ready.Name != "web" || ready.URL != relay.public.URL || ready.Reason != "" {
		t.Errorf("ready: %+v", ready)
	}
	if a := ask(relay.waitBound(), get("/a?b")); a.err != nil || a.status != 200 || a.body != "hello from /a" {
		t.Errorf("exchange: %+v", a)
	}
	e := r.event(EventRequest)
	if e.ID != "id/a?b" || e.Method != "GET" || e.Target != "/a?b" || e.Status != 200 || e.Cause != tunnel.CauseNone || e.Elapsed <= 0 {
		t.Errorf("request event: %+v; want the exchange and nothing of the probe", e)
	}
	if h := <-relay.health; !h.Up || h.Tunnel != 7 {
		t.Errorf("the relay was told %+v, want that tunnel 7 is up", h)
	}
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if h := relay.hellos[0]; h.Token != secret || h.Version != "1.2.3" || h.OS != runtime.GOOS || h.Kind != tunnel.KindSession {
		t.Errorf("hello: %+v", h)
	}
	if b := relay.binds[0]; b.Name != "web" || b.Seed != "" || len(b.Holder) != 32 || b.Takeover || b.Kind != "http" {
		t.Errorf("bind: %+v", b)
	}
}

// Who asks for a domain asks for no name beside it, and shows what URL the relay
// says.
func TestRunDomain(t *testing.T) {
	relay := newFakeRelay(t)
	relay.answer = func(b *tunnel.Bind) tunnel.Message {
		return &tunnel.Bound{ID: b.ID, Tunnel: 7, Name: "web", URL: relay.public.URL}
	}
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Domain: "app.acme.test", Folder: "/src", Target: newTarget(t, hello), StateDir: t.TempDir()}
	r := start(t, cfg)
	if e := r.event(EventReady); e.URL != relay.public.URL {
		t.Errorf("ready: %+v", e)
	}
	relay.mu.Lock()
	if b := relay.binds[0]; b.Domain != "app.acme.test" || b.Name != "" || b.Seed != "" {
		t.Errorf("bind: %+v", b)
	}
	relay.mu.Unlock()

	// The domain is this process's.
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the domain app.acme.test is already run by") {
		t.Errorf("a second agent: %v", err)
	}
}

func TestRunInProcess(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{
		Dial: func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			relay.wg.Go(func() { relay.serveAgent(theirs) })
			return ours, nil
		},
		Target: newTarget(t, hello),
	})
	if e := r.event(EventReady); !e.Verified || e.Name == "" {
		t.Errorf("ready: %+v", e)
	}
}

func TestRunRefused(t *testing.T) {
	reject := func(code tunnel.RejectCode, after time.Duration) func(*tunnel.Hello) *tunnel.RejectError {
		return func(*tunnel.Hello) *tunnel.RejectError {
			return &tunnel.RejectError{Code: code, Message: "because\n" + string(code), RetryAfter: after}
		}
	}
	bindError := func(code tunnel.RejectCode) func(*tunnel.Bind) tunnel.Message {
		return func(b *tunnel.Bind) tunnel.Message {
			return &tunnel.BindError{ID: b.ID, Code: code, Message: "because " + string(code)}
		}
	}
	tests := []struct {
		name   string
		admit  func(*tunnel.Hello) *tunnel.RejectError
		answer func(*tunnel.Bind) tunnel.Message
		code   int
		text   string
	}{
		{"token", reject(tunnel.RejectToken, 0), nil, cmdline.ExitToken, "because token"},
		{"version", reject(tunnel.RejectVersion, 0), nil, cmdline.ExitTooOld, "because version"},
		{"insecure", reject(tunnel.RejectInsecure, 0), nil, cmdline.ExitRefused, "because insecure"},
		{"a code of tomorrow", reject("policy", 0), nil, cmdline.ExitRefused, "because policy"},
		{"taken", nil, bindError(tunnel.RejectTaken), cmdline.ExitRefused, "because taken"},
		{"quota", nil, bindError(tunnel.RejectQuota), cmdline.ExitRefused, "because quota"},
		{"nonsense", nil, func(b *tunnel.Bind) tunnel.Message { return &tunnel.Bound{ID: b.ID, URL: "javascript:1", Name: "x"} }, cmdline.ExitUnreached, "makes no sense"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			relay := newFakeRelay(t)
			relay.admit, relay.answer = tt.admit, tt.answer
			cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Token: secret, Target: newTarget(t, hello)}
			if tt.name == "nonsense" {
				cfg.Wait = 50 * time.Millisecond // retried for ever otherwise
			}
			r := start(t, cfg)
			r.wantError(tt.code, tt.text)
			if e, _ := errors.AsType[*cmdline.Error](r.err); strings.Contains(e.Message, "\n") || strings.Contains(e.Message, secret) {
				t.Errorf("message %q, want one line without the token", e.Message)
			}
		})
	}
}

func TestRunRetriesWhatMayHelp(t *testing.T) {
	relay := newFakeRelay(t)
	n := 0
	relay.admit = func(*tunnel.Hello) *tunnel.RejectError {
		switch n++; n {
		case 1:
			return &tunnel.RejectError{Code: tunnel.RejectDraining, Message: "stopping"}
		case 2:
			return &tunnel.RejectError{Code: tunnel.RejectQuota, Message: "busy", RetryAfter: time.Millisecond}
		}
		return nil
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "stopping") {
		t.Errorf("reconnecting: %+v", e)
	}
	if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "busy") || e.Retry < time.Millisecond {
		t.Errorf("reconnecting: %+v", e)
	}
	r.event(EventReady)
}

func TestRunNotARelay(t *testing.T) {
	web := listen(t, func(conn net.Conn) {
		defer conn.Close()
		conn.Read(make([]byte, 1024))
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	})
	for _, relay := range []string{"http://" + web, "https://" + web} {
		r := start(t, Config{Relay: mustRelay(t, relay), Target: newTarget(t, hello)})
		r.wantError(cmdline.ExitUnreached, "not a share relay")
	}
}

func TestRunWaits(t *testing.T) {
	r := start(t, Config{Relay: mustRelay(t, "http://"+closedAddr(t)), Target: newTarget(t, hello), Wait: 150 * time.Millisecond})
	r.wantError(cmdline.ExitUnreached, "nothing listens")

	relay := newFakeRelay(t)
	r = start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: targetAt(t, closedAddr(t)), Wait: 150 * time.Millisecond})
	r.wantError(cmdline.ExitTargetDown, "refused")
}

func TestRunBeforeTheRelay(t *testing.T) {
	addr := closedAddr(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+addr), Target: newTarget(t, hello)})
	if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "nothing listens") || e.Retry > retryNear {
		t.Errorf("reconnecting: %+v", e)
	}
	relay := newFakeRelay(t)
	relay.stop()
	relay.listen(addr)
	began := time.Now()
	relay.waitBound()
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("bound %v after the relay listens, want at most 200ms", took)
	}
	r.event(EventReady)
}

func TestRunReconnects(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Folder: "/src", Takeover: true}
	r := start(t, cfg)
	first := r.event(EventReady)
	for range 2 {
		relay.stop()
		if e := r.event(EventReconnecting); e.Reason == "" {
			t.Errorf("reconnecting without a reason: %+v", e)
		}
		relay.listen(relay.addr)
		began := time.Now()
		again := r.event(EventReady)
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("ready %v after the relay listens again", took)
		}
		if again.URL != first.URL || again.Name != first.Name || !again.Verified {
			t.Errorf("ready again: %+v, want %+v", again, first)
		}
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if a, b := relay.binds[0], relay.binds[1]; !a.Takeover || b.Takeover || a.Seed != b.Seed || a.Holder != b.Holder || a.Seed == "" {
		t.Errorf("binds %+v and %+v: want the same seed and holder, and takeover once", a, b)
	}
}

func TestRunEvicted(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	s := relay.waitBound()
	s.Send(&tunnel.Unbind{Tunnel: 7, Code: tunnel.RejectEvicted, Message: "another agent took the name over"})
	s.Close() // at once: the message still counts
	r.wantError(cmdline.ExitRefused, "took the name over")
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if len(relay.binds) != 1 {
		t.Errorf("%d binds: an evicted agent fights", len(relay.binds))
	}
}

// gate is a target's handler that holds requests until it is opened.
type gate struct {
	entered chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate(t *testing.T) *gate {
	g := &gate{entered: make(chan struct{}, 16), open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.entered <- struct{}{}
	select {
	case <-g.open:
		io.WriteString(w, "late")
	case <-r.Context().Done():
	}
}

// inFlight starts an exchange and returns once the target has it.
func inFlight(t *testing.T, s *tunnel.Session, g *gate) <-chan answered {
	t.Helper()
	done := make(chan answered, 1)
	go func() { done <- ask(s, get("/slow")) }()
	select {
	case <-g.entered:
	case <-time.After(10 * time.Second):
		t.Fatal("the target was not asked")
	}
	return done
}

func TestRunDrains(t *testing.T) {
	relay, g := newFakeRelay(t), newGate(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP)})
	s := relay.waitBound()
	r.event(EventReady)
	slow := inFlight(t, s, g)
	r.cancel()
	if d := <-relay.drains; d.Deadline() != 10*time.Second {
		t.Errorf("drain of %v, want the default grace", d.Deadline())
	}
	a := ask(s, get("/new"))
	if f := tunnel.AsFailure(a.err); f == nil || f.Cause != tunnel.Draining || !f.NotProcessed {
		t.Errorf("a new exchange: %+v, want that it is given back", a)
	}
	g.release()
	if a := <-slow; a.err != nil || a.body != "late" {
		t.Errorf("exchange in flight: %+v", a)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunCuts(t *testing.T) {
	for name, grace := range map[string]time.Duration{"grace over": 50 * time.Millisecond, "no grace": -1, "cut": time.Hour} {
		t.Run(name, func(t *testing.T) {
			relay, g := newFakeRelay(t), newGate(t)
			r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP), Grace: grace})
			slow := inFlight(t, relay.waitBound(), g)
			r.cancel()
			if name == "cut" {
				r.agent.Cut()
			}
			if err := r.wait(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if a := <-slow; a.err == nil {
				t.Errorf("exchange in flight: %+v, want a failure", a)
			}
		})
	}
}

func TestRelayDrains(t *testing.T) {
	relay, g := newFakeRelay(t), newGate(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, g.ServeHTTP)})
	old := relay.waitBound()
	r.event(EventReady)
	slow := inFlight(t, old, g)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- old.Drain(ctx, tunnel.Drain{DeadlineMS: 10_000})
	}()
	relay.waitBound() // while the old session still serves
	g.release()
	if a := <-slow; a.err != nil || a.body != "late" {
		t.Errorf("exchange in flight: %+v", a)
	}
	if err := <-drained; err != nil {
		t.Errorf("drain: %v", err)
	}
	if e := r.event(EventReady); !e.Verified {
		t.Errorf("ready: %+v", e)
	}
}

func TestRunUnverified(t *testing.T) {
	relay := newFakeRelay(t)
	dead := "http://" + closedAddr(t)
	relay.answer = func(b *tunnel.Bind) tunnel.Message {
		return &tunnel.Bound{ID: b.ID, Tunnel: 7, Name: "x", URL: dead}
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	strict := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), RequireVerified: true})
	if a := ask(relay.waitBound(), get("/")); a.status != 200 {
		t.Errorf("before the probe has ended: %+v", a)
	}
	if e := r.event(EventWarning); !strings.Contains(e.Message, "not verified") {
		t.Errorf("warning: %q", e.Message)
	}
	if e := r.event(EventReady); e.Verified || e.Reason == "" || e.URL != dead {
		t.Errorf("ready: %+v", e)
	}
	strict.wantError(cmdline.ExitUnreached, "does not work")
}

// An agent that stops while a relay drains one of its sessions serves that one's
// visitors until they are gone: there is no other for them.
func TestStopWhileTheRelayDrains(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	old := relay.waitBound()
	r.event(EventReady)
	if err := old.Send(&tunnel.Drain{DeadlineMS: 10_000}); err != nil {
		t.Fatal(err)
	}
	relay.waitBound()
	r.event(EventReady)
	r.cancel()
	<-relay.drains // of the new session
	if a := ask(old, get("/x")); a.err != nil || a.body != "hello from /x" {
		t.Errorf("a visitor of the old session: %+v", a)
	}
	select {
	case <-relay.drains:
		t.Error("the old session is drained by the agent")
	case <-r.done:
		t.Error("Run has returned")
	default:
	}
	if err := old.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
