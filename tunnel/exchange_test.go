package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

// open opens an exchange and begins a request.
func open(t testing.TB, s *Session, r *Request) *Exchange {
	t.Helper()
	x, err := s.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.SendRequest(r); err != nil {
		t.Fatal(err)
	}
	return x
}

// text writes fields as a test reads them.
func text(h Header) string {
	s := ""
	for _, f := range h {
		s += fmt.Sprintf("%s=%s;", f.Name, f.Value)
	}
	return s
}

func TestTrailersPassBothWays(t *testing.T) {
	const want = "Grpc-Status=0;a=1;A=;a=2;"
	var h Header
	h.Add("Grpc-Status", "0")
	h.Add("a", "1")
	h.Add("A", "")
	h.Add("a", "2")
	_, relay := tcpPair(t, func(x *Exchange) {
		if x.Trailers() != nil {
			t.Error("trailers before the end")
		}
		if _, err := io.ReadAll(readerOf(x)); err != nil {
			t.Error(err)
		}
		if got := text(x.Trailers()); got != want {
			t.Errorf("request's trailers %q, want %q", got, want)
		}
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		x.Write([]byte("body"))
		x.End(h)
	})
	for range 3 { // on the same stream
		x := open(t, relay, &Request{ContentLength: -1})
		x.Write([]byte("body"))
		if err := x.End(h); err != nil {
			t.Fatal(err)
		}
		if n, err := receive(x); n != 4 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if got := text(x.Trailers()); got != want {
			t.Errorf("response's trailers %q, want %q", got, want)
		}
		x.Close()
	}
}

func TestInterimResponsesPassAtOnce(t *testing.T) {
	passed := make(chan bool, 3)
	defer close(passed)
	_, relay := tcpPair(t, func(x *Exchange) {
		for i := range 3 {
			r := &Response{Status: 100 + i, Reason: []byte("so far")}
			r.Header.Add("n", fmt.Sprint(i))
			if err := x.SendResponse(r); err != nil {
				t.Error(err)
			}
			if x.HeadSent() {
				t.Error("an interim response counts as the head")
			}
			<-passed
		}
		x.SendResponse(&Response{Status: 200})
		if err := x.SendResponse(&Response{Status: 103}); err == nil {
			t.Error("an interim response behind the final one")
		}
		x.End(nil)
	})
	x := get(t, relay)
	for i := range 3 {
		r, err := x.ReceiveResponse()
		if err != nil || !r.Interim() || r.Status != 100+i || string(r.Header.Get("N")) != fmt.Sprint(i) {
			t.Fatalf("interim response %d: %+v, %v", i, r, err)
		}
		passed <- true
	}
	r, err := x.ReceiveResponse()
	if err != nil || r.Status != 200 || len(r.Header) != 0 || len(r.Reason) != 0 {
		t.Fatalf("response %+v, %v", r, err)
	}
	if _, err := x.Data(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

// A stream carries another exchange only if both halves ended well, and few
// bytes went over it.
func TestReuse(t *testing.T) {
	reply := func(x *Exchange, n int) {
		x.SendResponse(&Response{Status: 200, ContentLength: int64(n)})
		x.Write(make([]byte, n))
		x.End(nil)
	}
	upgrade := &Request{Flags: RequestUpgrade}
	tests := []struct {
		name    string
		handler func(x *Exchange)
		request *Request
		send    func(x *Exchange) // the request's body and end; if nil, only the end
		want    bool
	}{
		{"no bodies", func(x *Exchange) { reply(x, 0) }, &Request{}, nil, true},
		{"an answer", func(x *Exchange) { reply(x, 100_000) }, &Request{}, nil, true},
		{"a large answer", func(x *Exchange) { reply(x, reuseLimit) }, &Request{}, nil, false},
		{"a body", answer, &Request{ContentLength: 4}, func(x *Exchange) { x.Write([]byte("body")); x.End(nil) }, true},
		{"trailers", answer, &Request{ContentLength: -1}, func(x *Exchange) { x.End(Header{{[]byte("a"), nil}}) }, true},
		{"a large body", answer, &Request{ContentLength: -1}, func(x *Exchange) { x.Write(make([]byte, reuseLimit)); x.End(nil) }, false},
		{"a body that is not read", func(x *Exchange) { reply(x, 1) }, &Request{ContentLength: 4}, func(x *Exchange) { x.Write([]byte("body")); x.End(nil) }, false},
		{"an early answer", func(x *Exchange) { reply(x, 1) }, &Request{ContentLength: 4}, func(x *Exchange) { x.Flush() }, false},
		{"STOP", func(x *Exchange) { x.Stop(); reply(x, 1) }, &Request{ContentLength: -1}, func(x *Exchange) { x.Flush() }, false},
		{"an upgrade", func(x *Exchange) { x.SendResponse(&Response{Status: 101, Flags: ResponseUpgrade}); x.End(nil) }, upgrade, nil, false},
		{"an upgrade refused", func(x *Exchange) { reply(x, 1) }, upgrade, nil, true},
		{"an abort", func(x *Exchange) { x.Abort(Fail(TargetClosed, nil)) }, &Request{}, nil, false},
		{"an abort behind the head", func(x *Exchange) {
			x.SendResponse(&Response{Status: 200, ContentLength: -1})
			x.Abort(Fail(TargetIncomplete, nil))
		}, &Request{}, nil, false},
		{"an abort behind the end", func(x *Exchange) { reply(x, 1); x.Abort(Fail(TargetIncomplete, nil)) }, &Request{}, nil, true},
		{"more behind the end", func(x *Exchange) {
			reply(x, 1)
			if _, err := x.Write([]byte("more")); err == nil {
				t.Error("Write behind End")
			}
			if err := x.End(nil); err == nil {
				t.Error("a second End")
			}
			if err := x.SendResponse(&Response{Status: 200}); err == nil {
				t.Error("a second response")
			}
			x.Stop()
			x.Flush()
		}, &Request{}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := atomic.Bool{}
			_, relay := tcpPair(t, func(x *Exchange) {
				if first.CompareAndSwap(false, true) {
					tt.handler(x)
				} else {
					answer(x)
				}
			})
			x := open(t, relay, tt.request)
			if tt.send != nil {
				go tt.send(x)
			} else {
				x.End(nil)
			}
			_, err := receive(x)
			id := x.stream.StreamID()
			until(t, "the end of the body's writer", func() bool { return !tt.want || x.out.done() })
			x.Close()
			if _, err := ask(relay, "/", []byte("next")); err != nil {
				t.Fatalf("the next exchange, after %v: %v", err, err)
			}
			y := begin(t, relay)
			defer y.Close()
			if got := y.stream.StreamID() == id; got != tt.want {
				t.Errorf("reused %v, want %v; after %v", got, tt.want, err)
			}
		})
	}
}

// A refusal to read more of a body reaches a writer that waits.
func TestStop(t *testing.T) {
	over := make(chan bool)
	release := sync.OnceFunc(func() { close(over) })
	defer release()
	_, relay := tcpPair(t, func(x *Exchange) {
		p, err := x.Data()
		if len(p) == 0 || err != nil {
			t.Errorf("data: %v", err)
		}
		if err := x.Stop(); err != nil {
			t.Error(err)
		}
		<-over // the answer takes its time
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		x.Write([]byte("enough"))
		x.End(nil)
	})
	x := open(t, relay, &Request{ContentLength: -1})
	defer x.Close()
	wrote := make(chan error, 1)
	go func() {
		// As much as the window takes, and more.
		_, err := x.Write(make([]byte, 4<<20))
		wrote <- err
	}()
	received := make(chan error, 1)
	go func() {
		n, err := receive(x)
		if n != 6 {
			t.Errorf("response of %d bytes", n)
		}
		received <- err
	}()
	f := failure(t, within(t, "end of the upload", wrote), VisitorIncomplete)
	release()
	if err := within(t, "the response", received); err != nil {
		t.Error(err)
	}
	if !errors.Is(f, ErrStopped) {
		t.Errorf("upload ended with %v", f)
	}
	if x.Err() != nil {
		t.Errorf("STOP counts as a failure: %v", x.Err())
	}
	if err := x.End(nil); !errors.Is(err, ErrStopped) {
		t.Errorf("End: %v", err)
	}
}

func TestOnAbortIsCalledOnce(t *testing.T) {
	for range 50 {
		inside, left := make(chan bool), make(chan bool)
		_, relay := tcpPair(t, func(x *Exchange) {
			defer close(left)
			close(inside)
			var calls []*atomic.Int32
			for failed := false; !failed; {
				failed = x.Err() != nil
				n := new(atomic.Int32)
				calls = append(calls, n)
				x.OnAbort(func(*Failure) { n.Add(1) })
			}
			// Whoever brings the failure may be about to call it.
			eventually(t, "the call", func() bool { return calls[len(calls)-1].Load() > 0 })
			<-x.lane.mux.CloseChan()
			for i, n := range calls {
				if n.Load() > 1 {
					t.Errorf("function %d of %d was called %d times", i, len(calls), n.Load())
				}
			}
		})
		x := begin(t, relay)
		within(t, "handler", inside)
		x.Abort(Fail(VisitorGone, nil))
		x.Close()
		relay.Close()
		within(t, "end of the handler", left)
	}
}

// One side's goroutines abort as they like, while both ends are busy. Neither
// the lane nor another exchange is harmed.
func TestAbortsAtOnce(t *testing.T) {
	agent, relay := tcpPair(t, func(x *Exchange) {
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, readerOf(x)) })
		if string(x.Request().Target) == "/agent" {
			for range 3 {
				wg.Go(func() { x.Abort(Fail(TargetClosed, nil)) })
			}
		}
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		for x.Err() == nil {
			x.Write(make([]byte, 10_000))
		}
		wg.Wait()
	})
	for i := range 100 {
		for _, target := range []string{"/agent", "/relay"} {
			x := open(t, relay, &Request{Target: []byte(target), ContentLength: -1})
			var wg sync.WaitGroup
			wg.Go(func() {
				for x.Err() == nil {
					x.Write(make([]byte, 10_000))
				}
			})
			wg.Go(func() { receive(x) })
			if target == "/relay" {
				for range 3 {
					wg.Go(func() { x.Abort(Fail(VisitorGone, nil)) })
				}
			}
			wg.Wait()
			if f := x.failed(); f.Cause != VisitorGone && f.Cause != TargetClosed {
				t.Fatalf("%d %s: %v", i, target, f)
			}
			// One more that comes late.
			wg.Go(func() { x.Abort(Fail(VisitorGone, nil)) })
			x.Close()
			wg.Wait()
		}
	}
	for _, s := range []*Session{agent, relay} {
		if s.Err() != nil {
			t.Fatalf("session ended: %v", s.Err())
		}
	}
	if _, err := askAborted(relay); err != nil {
		t.Error(err)
	}
	until(t, "end of all exchanges", func() bool { return relay.Live() == 0 && agent.Live() == 0 })
}

// askAborted asks a handler that answers until it is aborted.
func askAborted(s *Session) (n int, err error) {
	x, err := s.Open(context.Background())
	if err != nil {
		return 0, err
	}
	defer x.Close()
	x.SendRequest(&Request{})
	x.End(nil)
	if _, err := x.ReceiveResponse(); err != nil {
		return 0, err
	}
	p, err := x.Data()
	return len(p), err
}
