package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"share/agent"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// served is a Server that a test has started.
type served struct {
	*Server
	places Places
	stops  chan struct{} // has one for each wish that it stop
	end    func()        // ends Serve, once
}

// serve serves an agent called name until the test ends.
func serve(t *testing.T, places Places, name string) *served {
	t.Helper()
	s := &served{places: places, stops: make(chan struct{}, 10)}
	var err error
	s.Server, err = Open(Config{
		Places: places, Version: "v1", Target: "localhost:8080", Name: name, Grace: time.Second,
		Options: map[string]string{"hold": "5s"},
		Stop:    func() { s.stops <- struct{}{} },
		Lines: func(json bool) func([]byte, agent.Event) []byte {
			return func(text []byte, e agent.Event) []byte {
				return fmt.Appendf(text, "%v %v %s\n", json, e.Kind, e.Message)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(s.end)
	return s
}

// only returns the one agent that there is.
func only(t *testing.T, places Places) *Agent {
	t.Helper()
	agents, err := places.Agents(context.Background())
	if err != nil || len(agents) != 1 {
		t.Fatalf("got %d agents, %v, want one", len(agents), err)
	}
	return agents[0]
}

func TestStatus(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "asked")
	got := only(t, places).Status
	if got == nil || got.PID != os.Getpid() || got.Name != "asked" || got.URL != "" || got.Target != "localhost:8080" ||
		got.State != Connecting || got.Version != "v1" || got.GraceMS != 1000 || string(got.Config) != `{"hold":"5s"}` {
		t.Fatalf("got %+v", got)
	}
	s.Note(agent.Event{Kind: agent.EventConnecting, Time: noon, Relay: "in-process"})
	s.Note(agent.Event{Kind: agent.EventReady, Time: noon, Name: "got", URL: "http://got.localhost:7070", Verified: true})
	if got := only(t, places).Status; got.Name != "got" || got.URL != "http://got.localhost:7070" || got.State != Online || len(got.Relays) != 1 {
		t.Errorf("got %+v", got)
	}
	if names := places.Names(context.Background()); fmt.Sprint(names) != "[got]" {
		t.Errorf("got the names %v", names)
	}
	s.Stopping()
	if got := only(t, places).Status; got.State != Stopping {
		t.Errorf("got %s, want %s", got.State, Stopping)
	}
	s.end()
	if agents, err := places.Agents(context.Background()); err != nil || len(agents) > 0 {
		t.Errorf("got %d agents, %v, after the end", len(agents), err)
	}
	if left, err := os.ReadDir(filepath.Join(places.State, "run")); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want that nothing is left", left, err)
	}
}

// Those who look for agents find them in the order of their start, wherever they are.
func TestAgents(t *testing.T) {
	places := Places{Runtime: t.TempDir(), State: t.TempDir()}
	serve(t, places, "one")
	serve(t, Places{State: places.State}, "two")
	serve(t, places, "three")
	agents, err := places.Agents(context.Background())
	var got []string
	for _, a := range agents {
		got = append(got, a.Status.Name)
	}
	if err != nil || fmt.Sprint(got) != "[one two three]" {
		t.Errorf("got %v, %v", got, err)
	}
	if agents, err := (Places{State: t.TempDir()}).Agents(context.Background()); err != nil || len(agents) > 0 {
		t.Errorf("another user sees %d agents, %v", len(agents), err)
	}
}

// Stop returns once the agent has ended, and not before.
func TestStop(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "x")
	a := only(t, places)
	type result struct {
		Stopped
		err error
	}
	results := make(chan result, 2)
	for range 2 {
		go func() {
			stopped, err := a.Stop(context.Background())
			results <- result{stopped, err}
		}()
	}
	for range 2 {
		select {
		case <-s.stops:
		case <-time.After(patience):
			t.Fatal("the agent is not told to stop")
		}
	}
	if got := only(t, places).Status.State; got != Stopping {
		t.Errorf("got %s, want %s", got, Stopping)
	}
	select {
	case r := <-results:
		t.Fatalf("Stop returned %+v before the end", r)
	default:
	}
	s.End(0, "share stop")
	s.end()
	for range 2 {
		select {
		case r := <-results:
			if r.err != nil || r.Stopped != (Stopped{0, "share stop"}) {
				t.Errorf("got %+v", r)
			}
		case <-time.After(patience):
			t.Fatal("Stop does not return")
		}
	}
	if _, err := a.Stop(context.Background()); !errors.Is(err, ErrGone) {
		t.Errorf("after the end: got %v, want %v", err, ErrGone)
	}
}

// Who asked for an agent's end and has lost patience does not wait for ever.
func TestStopIsBounded(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "x")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := only(t, places).Stop(ctx)
		done <- err
	}()
	<-s.stops
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Fatal("Stop does not return")
	}
}

func TestLog(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "x")
	a := only(t, places)
	for _, message := range []string{"a", "b"} {
		s.Note(agent.Event{Kind: agent.EventWarning, Message: message})
	}
	for asJSON, want := range map[bool]string{false: "false warning a\nfalse warning b\n", true: "true warning a\ntrue warning b\n"} {
		var got bytes.Buffer
		if err := a.Log(context.Background(), &got, asJSON, false); err != nil || got.String() != want {
			t.Errorf("got %q, %v, want %q", got.String(), err, want)
		}
	}

	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := a.Log(context.Background(), w, false, true)
		w.CloseWithError(io.EOF)
		done <- err
	}()
	lines := bufio.NewReader(r)
	next := func(want string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	next("false warning a")
	next("false warning b")
	s.Note(agent.Event{Kind: agent.EventWarning, Message: "c"})
	next("false warning c")
	s.End(0, "done")
	s.end()
	next("false stopped ")
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v, after the end", rest, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Log: %v", err)
	}
}

// An agent that hangs is listed, and delays nobody for ever.
func TestSilent(t *testing.T) {
	places := Places{State: t.TempDir()}
	serve(t, places, "alive")
	ln, err := net.Listen("unix", filepath.Join(places.State, "run", "1-0123abcd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // nobody accepts
	agents, err := places.Agents(context.Background())
	if err != nil || len(agents) != 2 || agents[0].Status == nil || agents[1].Status != nil || agents[1].PID != 1 {
		t.Fatalf("got %+v, %v", agents, err)
	}
	if _, err := agents[1].Stop(context.Background()); !errors.Is(err, ErrSilent) {
		t.Errorf("stop: got %v, want %v", err, ErrSilent)
	}
	if err := agents[1].Log(context.Background(), io.Discard, false, true); !errors.Is(err, ErrSilent) {
		t.Errorf("log: got %v, want %v", err, ErrSilent)
	}
}

// What answers nonsense when it is told to stop has not ended.
func TestStopUnheard(t *testing.T) {
	for answer, gone := range map[string]bool{`{"code":`: true, "": true, "{{": false, `{"code":"x"}`: false} {
		path := filepath.Join(t.TempDir(), "sock")
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })}
		var serves sync.WaitGroup
		serves.Go(func() { srv.Serve(ln) })
		_, err = newAgent(path, 1).Stop(t.Context())
		if err == nil || errors.Is(err, ErrGone) != gone {
			t.Errorf("%q: got %v", answer, err)
		}
		srv.Close()
		serves.Wait()
	}
}

// What is not asked for as it should be is refused, and harms nothing.
func TestRefuses(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "x")
	a := only(t, places)
	for _, call := range []string{"GET /v1/stop", "POST /v1/agent", "GET /", "GET /v1/agent/../../x", "DELETE /v1/log"} {
		method, path, _ := strings.Cut(call, " ")
		resp, err := a.send(context.Background(), method, path)
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s: got %s", call, resp.Status)
		}
	}
	select {
	case <-s.stops:
		t.Error("the agent was told to stop")
	default:
	}
}

// FuzzStatus states that whatever answers at a socket is a status of this version
// or an error.
func FuzzStatus(f *testing.F) {
	f.Add([]byte(`{"v":1,"pid":7,"name":"x","relays":[{"relay":"in-process","lanes":1}],"config":{"hold":"5s"}}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"since":"yesterday"}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		s, err := readStatus(bytes.NewReader(answer))
		if (s == nil) != (err != nil) {
			t.Fatalf("got %v, %v", s, err)
		}
		if s != nil && s.V != 1 {
			t.Errorf("got version %d", s.V)
		}
	})
}

func TestStatusIsBounded(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"v":1,"name":"`), strings.NewReader(strings.Repeat("x", maxStatus)), strings.NewReader(`"}`))
	if _, err := readStatus(endless); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("got %v", err)
	}
}
