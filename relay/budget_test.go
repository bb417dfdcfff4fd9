package relay

import (
	"errors"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"share/tunnel"
)

func TestBudgetOfDescriptors(t *testing.T) {
	tests := []struct{ descriptors, connections, spare int64 }{
		{0, 0, leastSpare}, // not bounded
		{20, 1, leastSpare},
		{128, 80, 16},
		{1024, 864, 128},
		{1 << 20, 1<<20 - 544, 512},
	}
	for _, tt := range tests {
		var b budget
		if b.limit(tt.descriptors); b.connections != tt.connections || b.spare != tt.spare {
			t.Errorf("%d descriptors: got %d connections and %d to spare, want %d and %d",
				tt.descriptors, b.connections, b.spare, tt.connections, tt.spare)
		}
	}
}

func TestBudgetOfConnections(t *testing.T) {
	b := budget{connections: 2, spare: 1}
	for n, want := range []struct{ enters, why bool }{{true, false}, {true, false}, {true, true}, {false, true}} {
		if enters, why := b.enter(), b.why() != nil; enters != want.enters || why != want.why {
			t.Errorf("connection %d: enters %v, why %v, want %+v", n, enters, why, want)
		}
	}
	b.leave()
	b.leave()
	if f := b.why(); f != nil {
		t.Errorf("with two of two left: %v", f)
	}
	if !b.tell() || b.tell() {
		t.Error("not one is told, and no more")
	}
}

func TestIsFull(t *testing.T) {
	const size = 1000
	for _, tt := range []struct {
		was  bool
		used int64
		want bool
	}{{false, 779, false}, {false, 780, true}, {true, 779, true}, {true, 720, true}, {true, 719, false}} {
		if got := isFull(tt.was, tt.used, size); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}

// What is held counts, and what was let go does not once a collection has found
// that out.
func TestUse(t *testing.T) {
	const much = 64 << 20
	u := newUse()
	before := u.bytes()
	held := make([]byte, much)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	debug.FreeOSMemory()
	if got := u.bytes() - before; got < much*9/10 || got > much*11/10 {
		t.Errorf("%d bytes count as %d", much, got)
	}
	runtime.KeepAlive(held)
	debug.FreeOSMemory()
	if got := u.bytes() - before; got > much/10 {
		t.Errorf("%d bytes count when all was let go", got)
	}
}

// A relay whose memory is used up refuses exchanges and agents, goes on with what
// is open, and begins again when there is room.
func TestMemoryIsUsedUp(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	entered, gate := make(chan bool, 1), make(chan bool)
	release := sync.OnceFunc(func() { close(gate) })
	defer release() // a test that fails does not wait either
	s.agent("x", func(x *tunnel.Exchange) {
		if string(x.Request().Target) == "/" {
			entered <- true
			<-gate
		}
		say("hello")(x)
	})
	old := later(s.dial(doorHTTP), "x.localhost")
	await(t, entered, "the first request")
	kept := s.dial(doorHTTP)
	if resp, _ := get(t, kept, "localhost"); resp.StatusCode != 200 {
		t.Fatalf("the relay's own page: %d", resp.StatusCode)
	}

	s.budget.full.Store(true)
	for name, nc := range map[string]net.Conn{"an old connection": kept, "a new one": s.dial(doorHTTP)} {
		resp, _ := get(t, nc, "x.localhost")
		if resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "overload" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say(""))
	if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectOverload || refused.RetryAfter != overloadPause {
		t.Errorf("an agent: %v", err)
	}
	release()
	if body := await(t, old, "the exchange that was open"); body != "hello" {
		t.Errorf("the exchange that was open ended with %q", body)
	}

	s.budget.full.Store(false)
	nc := s.dial(doorHTTP)
	nc.SetDeadline(time.Now().Add(patience))
	if resp, _ := get(t, nc, "localhost"); resp.StatusCode != 200 {
		t.Errorf("with memory again: %d", resp.StatusCode)
	}
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say("")); err != nil {
		t.Errorf("an agent with memory again: %v", err)
	}
	if !s.log.line("visitors are refused", errMemory.Error()) {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

// When descriptors are scarce those for whom there is none are told so, and what
// is open goes on; connections between two requests make room.
func TestDescriptorsAreScarce(t *testing.T) {
	s := serve(t, Config{Descriptors: otherDescriptors + leastSpare + 3}, nil, doorHTTP)
	entered, gate := make(chan bool, 2), make(chan bool)
	release := sync.OnceFunc(func() { close(gate) })
	defer release() // a test that fails does not wait either
	s.agent("x", func(x *tunnel.Exchange) {
		entered <- true
		<-gate
		say("hello")(x)
	})
	until(t, "one connection", func() bool { return s.budget.open.Load() == 1 })
	var bodies []<-chan string
	var kept []net.Conn
	for range 2 {
		nc := s.dial(doorHTTP)
		kept, bodies = append(kept, nc), append(bodies, later(nc, "x.localhost"))
		await(t, entered, "a request")
	}
	resp, _ := get(t, s.dial(doorHTTP), "x.localhost")
	if resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "overload" || !resp.Close {
		t.Errorf("the fourth: %d %v", resp.StatusCode, resp.Header)
	}
	release()
	for _, answer := range bodies {
		if body := await(t, answer, "an exchange that was open"); body != "hello" {
			t.Errorf("an exchange that was open ended with %q", body)
		}
	}
	until(t, "room", func() bool {
		nc := s.dial(doorHTTP)
		defer nc.Close()
		resp, _ := get(t, nc, "x.localhost")
		return resp.StatusCode == 200
	})
	for _, nc := range kept {
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("an idle connection: %d bytes, %v; want its end", n, err)
		}
	}
	if !s.log.line("visitors are refused", errDescriptors.Error()) {
		t.Errorf("the log does not say why: %s", s.log)
	}
}
