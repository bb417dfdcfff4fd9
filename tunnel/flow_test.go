package tunnel

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"share/tunnel/nbio"
)

// fill writes until the window is full, and returns what Write then does.
func fill(x *Exchange) <-chan error {
	wrote := make(chan error, 1)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := x.Write(buf); err != nil {
				wrote <- err
				return
			}
		}
	}()
	return wrote
}

// full waits until a stream's writer, and with it its exchange, is stuck: its
// lane sends nothing any more.
func full(t *testing.T, x *Exchange) {
	t.Helper()
	last, since := x.carried.Load(), time.Now()
	until(t, "a full window", func() bool {
		if n := x.carried.Load(); n != last {
			last, since = n, time.Now()
		}
		return last >= 256<<10 && time.Since(since) > 100*time.Millisecond
	})
}

// A writer that waits for a peer who does not read is woken by each side's
// Abort, and by the lane's end.
func TestAbortWakesAStuckWriter(t *testing.T) {
	tests := []struct {
		name string
		act  func(agent, relay *Exchange)
		want Cause // of the stuck agent's Write
		seen Cause // of the relay's Data
	}{
		{"relay aborts", func(_, x *Exchange) { x.Abort(Fail(VisitorGone, nil)) }, VisitorGone, VisitorGone},
		{"relay closes", func(_, x *Exchange) { x.Close() }, VisitorGone, VisitorGone},
		{"agent aborts", func(x, _ *Exchange) { x.Abort(Fail(TargetTimeout, nil)) }, TargetTimeout, TargetTimeout},
		{"agent's lane ends", func(x, _ *Exchange) { x.lane.close(ErrClosed) }, LinkLost, LinkLost},
		{"relay's lane ends", func(_, x *Exchange) { x.lane.close(ErrClosed) }, LinkLost, LinkLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ended, exchanges := make(chan error, 1), make(chan *Exchange, 1)
			_, relay := tcpPair(t, func(x *Exchange) {
				exchanges <- x
				x.SendResponse(&Response{Status: 200, ContentLength: -1})
				ended <- <-fill(x)
			})
			x := begin(t, relay)
			if tt.name != "relay closes" {
				defer x.Close()
			}
			if _, err := x.ReceiveResponse(); err != nil {
				t.Fatal(err)
			}
			served := within(t, "handler", exchanges)
			full(t, served)
			tt.act(served, x)
			failure(t, within(t, "end of the stuck Write", ended), tt.want)
			if tt.name == "relay closes" {
				return
			}
			_, err := io.Copy(io.Discard, readerOf(x))
			failure(t, err, tt.seen)
		})
	}
}

// The same for an upload that the target does not read.
func TestAbortWakesAStuckUpload(t *testing.T) {
	tests := []struct {
		name string
		act  func(agent, relay *Exchange)
		want Cause // of the relay's Write
		seen Cause // of the agent's Data
	}{
		{"relay aborts", func(_, x *Exchange) { x.Abort(Fail(VisitorGone, nil)) }, VisitorGone, VisitorGone},
		{"agent aborts", func(x, _ *Exchange) { x.Abort(Fail(TargetTimeout, nil)) }, TargetTimeout, TargetTimeout},
		{"agent's lane ends", func(x, _ *Exchange) { x.lane.close(ErrClosed) }, LinkLost, LinkLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ended, exchanges := make(chan error, 1), make(chan *Exchange, 1)
			_, relay := tcpPair(t, func(x *Exchange) {
				exchanges <- x
				aborted := make(chan bool)
				x.OnAbort(func(*Failure) { close(aborted) })
				if tt.name != "agent aborts" {
					<-aborted
				} else {
					eventually(t, "Abort", func() bool { return x.Err() != nil })
				}
				_, err := io.Copy(io.Discard, readerOf(x)) // what had come before
				ended <- err
			})
			x := open(t, relay, &Request{ContentLength: -1})
			defer x.Close()
			wrote := fill(x)
			served := within(t, "handler", exchanges)
			full(t, x)
			answered := make(chan error, 1)
			go func() {
				_, err := x.ReceiveResponse()
				answered <- err
			}()
			tt.act(served, x)
			within(t, "end of the wait for a response", answered)
			failure(t, within(t, "end of the stuck Write", wrote), tt.want)
			failure(t, within(t, "end of the request", ended), tt.seen)
		})
	}
}

// Where the window has no room for ERROR, nobody waits for it: RESET tells.
func TestAbortWithFullWindow(t *testing.T) {
	const window = 256 << 10 // of a stream that the relay has not accepted
	head := &Response{Status: 200, ContentLength: -1}
	aborted := make(chan bool)
	p, agent, _ := rawRelay(t, connPair, func(x *Exchange) {
		defer close(aborted)
		x.SendResponse(head)
		x.Flush()
		left := window - len(appendResponse(nil, head)) - 3
		for left > 0 {
			n := min(left, 10_000)
			x.Write(make([]byte, n-frameHeaderLen))
			x.Flush()
			left -= n
		}
		x.Abort(Fail(TargetTimeout, nil))
	})
	p.put(muxOpen(2), muxBytes(2, request(frameEnd, 9, &Request{})))
	typ, payload := p.next(1)
	if r, err := decodeReset(payload); typ != typeReset || err != nil || r.stream != 2 || r.seq != 9 || r.failure.Cause != TargetTimeout {
		t.Errorf("frame %d, RESET %+v, %v", typ, r, err)
	}
	within(t, "Abort", aborted)
	if agent.Err() != nil {
		t.Errorf("session ended: %v", agent.Err())
	}
}

// One whose visitor reads nothing holds up nobody else, nor the end of a
// session that drains.
func TestSlowReaderDelaysNobody(t *testing.T) {
	before := spent()
	stuck := make(chan *Exchange, 4)
	agent, relay := tcpPair(t, func(x *Exchange) {
		switch string(x.Request().Target) {
		case "/down":
			x.SendResponse(&Response{Status: 200, ContentLength: -1})
			stuck <- x
			<-fill(x)
		case "/up":
			stuck <- x
			aborted := make(chan bool)
			x.OnAbort(func(*Failure) { close(aborted) })
			<-aborted
		default:
			answer(x)
		}
	})
	var visitors []*Exchange
	var uploads []<-chan error
	for range 2 {
		down := beginAt(t, relay, "/down")
		up := open(t, relay, &Request{Target: []byte("/up"), ContentLength: -1})
		visitors = append(visitors, down, up)
		uploads = append(uploads, fill(up))
		full(t, up)
	}
	for range 4 {
		within(t, "handler", stuck)
	}
	for i := range 300 {
		body := make([]byte, i*100)
		if _, err := ask(relay, "/", body); err != nil {
			t.Fatalf("exchange %d beside stuck ones: %v", i, err)
		}
	}
	// Both ends are in this process: two windows each at most.
	before.below(t, 100, 24)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	finished := make(chan error, 1)
	go func() { finished <- agent.Finish(ctx) }()
	if err := within(t, "Finish beside stuck exchanges", finished); !errors.Is(err, context.Canceled) {
		t.Errorf("Finish: %v", err)
	}
	for _, u := range uploads {
		within(t, "end of an upload", u)
	}
	for _, x := range visitors {
		if _, err := receive(x); err == nil {
			t.Error("a cut exchange looks whole")
		} else if c := AsFailure(err).Cause; c != Draining && c != LinkLost {
			t.Errorf("cause %v", c)
		}
		x.Close()
	}
}

// What was read of a stream's body is not kept; what a stream's window has
// taken is given up with it.
func TestMemoryOfManyBodies(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: 4 << 20})
		for range 64 {
			x.Write(make([]byte, 64<<10))
		}
		x.End(nil)
	})
	l := only(t, relay)
	before := spent()
	for range 20 {
		x := begin(t, relay)
		if n, err := receive(x); n != 4<<20 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		x.Close()
	}
	until(t, "end of the streams", func() bool { return l.mux.NumStreams() == 1 })
	before.below(t, 10, 8)
}

// What an unusually large head took is given up when its exchange is closed.
func TestLargeHeadsAreNotKept(t *testing.T) {
	var big Header
	for range 1000 {
		big.Add("name", "a value of some length, and then some")
	}
	_, relay := tcpPair(t, func(x *Exchange) {
		if n := len(x.Request().Header); n != len(big) {
			t.Errorf("%d fields", n)
		}
		x.SendResponse(&Response{Status: 200, Header: big})
		x.End(big)
	})
	x := open(t, relay, &Request{Header: big})
	x.End(big)
	r, err := x.ReceiveResponse()
	if err != nil || len(r.Header) != len(big) {
		t.Fatalf("%v", err)
	}
	if _, err := x.Data(); err != io.EOF || len(x.Trailers()) != len(big) {
		t.Fatalf("%v", err)
	}
	x.Close()
	in := &x.in
	if n := max(cap(in.head), cap(in.side)); n > nbio.Small {
		t.Errorf("a head of %d bytes is kept", n)
	}
	if n := max(cap(in.response.Header), cap(in.fields)); n > keepFields {
		t.Errorf("%d fields are kept", n)
	}
	if in.buf != nil || x.out.buf != nil {
		t.Error("a buffer is kept")
	}
}
