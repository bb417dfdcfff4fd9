package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"share/agent/target"
	"share/tunnel/cmdline"
)

const secret = "s3cret-token"

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// await fails the test unless something comes in time.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// until fails the test unless something is so in time.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

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

// closedAddr is an address on loopback where nothing listens, nor will while the
// test runs: a connection has its port.
func closedAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// running is an agent that a test has started.
type running struct {
	t      *testing.T
	agent  *Agent
	cancel context.CancelFunc
	events chan Event
	done   chan struct{}
	err    error // what Run returned, once done is closed
}

// start runs an agent for cfg until the test ends.
func start(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{t: t, events: make(chan Event, 1024), done: make(chan struct{})}
	cfg.OnEvent = func(e Event) {
		if cfg.Token != "" && strings.Contains(fmt.Sprintf("%+v", e), cfg.Token) {
			t.Errorf("event shows the token: %+v", e)
		}
		r.events <- e
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.agent, r.cancel = a, cancel
	go func() {
		r.err = a.Run(ctx)
		close(r.done)
	}()
	t.Cleanup(func() {
		cancel()
		a.Cut()
		<-r.done
	})
	return r
}

// wait returns what Run returned.
func (r *running) wait() error {
	r.t.Helper()
	await(r.t, r.done, "Run")
	return r.err
}

// event returns the next event of a kind; others are dropped.
func (r *running) event(kind EventKind) Event {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			r.t.Fatalf("no %v event", kind)
		}
	}
}

// wantError fails unless Run returned a *cmdline.Error with this code and text.
func (r *running) wantError(code int, text string) {
	r.t.Helper()
	if err := r.wait(); !isError(err, code, text) {
		r.t.Errorf("Run returned %s; want code %d and %q", describe(err), code, text)
	}
}

func isError(err error, code int, text string) bool {
	e, ok := errors.AsType[*cmdline.Error](err)
	return ok && e.Code == code && containsFold(e.Message, text)
}

// waits are values of Config.Wait, to be tried in turn: the first is enough
// unless the machine stalls for as long.
func waits() []time.Duration {
	return []time.Duration{150 * time.Millisecond, 2 * time.Second, 15 * time.Second}
}

func describe(err error) string {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return fmt.Sprintf("code %d, %q, hint %q", e.Code, e.Message, e.Hint)
	}
	return fmt.Sprint(err)
}
