package tunnel

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// far is a connection whose bytes take their time to the other end.
type far struct {
	net.Conn
	queue  chan parcel
	once   sync.Once
	closed chan struct{}
	ended  chan struct{} // closed when nothing is sent any more
}

// A parcel is bytes that arrive at due.
type parcel struct {
	p   []byte
	due time.Time
}

// farPair is connPair with so much delay in each direction. It ends with the
// connections.
func farPair(t *testing.T, delay time.Duration) (agent, relay net.Conn) {
	a, r := connPair(t)
	return newFar(a, delay), newFar(r, delay)
}

func newFar(conn net.Conn, delay time.Duration) *far {
	f := &far{Conn: conn, queue: make(chan parcel, 1<<12), closed: make(chan struct{}), ended: make(chan struct{})}
	go func() { // ended by Close
		defer close(f.ended)
		for {
			select {
			case q := <-f.queue:
				time.Sleep(time.Until(q.due.Add(delay)))
				f.Conn.Write(q.p)
			case <-f.closed:
				return
			}
		}
	}()
	return f
}

func (f *far) Write(p []byte) (int, error) {
	select {
	case f.queue <- parcel{append([]byte(nil), p...), time.Now()}:
		return len(p), nil
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *far) Close() error {
	err := f.Conn.Close()
	f.once.Do(func() { close(f.closed) })
	<-f.ended
	return err
}

// A peer whose reader has stopped sends no more than the first window.
func TestWindowOfSlowReaderIsSmall(t *testing.T) {
	agents := make(chan *Exchange, 1)
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		agents <- x
		<-fill(x)
	})
	x := get(t, relay)
	agent := within(t, "handler", agents)
	full(t, agent)
	if n := agent.carried.Load(); n < firstWindow || n > firstWindow+4<<10 {
		t.Errorf("%d bytes are under way, want the %d of the window and heads", n, firstWindow)
	}
	// It has been stuck; now it goes on.
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	for read := 0; read < 4*firstWindow; {
		p, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		read += len(p)
	}
}

func TestBudgets(t *testing.T) {
	var shared Budget
	var sessions [sharedSpare/sessionSpare + 1]Session
	for i := range sessions {
		s := &sessions[i]
		s.Budget = &shared
		taken := int64(0)
		for s.take(maxWindow / 4) {
			taken += maxWindow / 4
		}
		want := int64(sessionSpare)
		if i == len(sessions)-1 {
			want = 0 // they have no more together
		}
		if taken != want || s.spare.taken.Load() != want {
			t.Errorf("session %d took %d, has %d, want %d", i, taken, s.spare.taken.Load(), want)
		}
	}
	sessions[0].giveBack(maxWindow)
	if last := &sessions[len(sessions)-1]; !last.take(maxWindow) || last.take(1) {
		t.Error("what one session gives back is not another's")
	}
	small := &Session{Budget: &Budget{Limit: maxWindow}}
	if !small.take(maxWindow) || small.take(1) {
		t.Error("a budget's own limit does not hold")
	}
	if alone := new(Session); !alone.take(sessionSpare) || alone.take(1) {
		t.Error("a session that shares nothing is not bound by itself alone")
	}
}

// Nothing is opened with a session of which too much waits to be read, until it
// was.
func TestUnreadIsBounded(t *testing.T) {
	release := make(chan bool)
	_, relay := tcpPair(t, func(x *Exchange) {
		if string(x.Request().Target) != "/much" {
			answer(x)
			return
		}
		x.SendResponse(&Response{Status: 200, ContentLength: firstWindow})
		x.Write(make([]byte, firstWindow))
		x.End(nil)
		<-release
	})
	defer close(release)
	relay.Budget = &Budget{Unread: firstWindow}
	var open []*Exchange
	for range 2 {
		open = append(open, beginAt(t, relay, "/much"))
	}
	var err error
	until(t, "too much that is unread", func() bool {
		var x *Exchange
		if x, err = relay.Open(context.Background()); err == nil {
			x.Abort(Fail(VisitorGone, nil))
			x.Close()
		}
		return err != nil
	})
	if f := failure(t, err, Overload); !f.NotProcessed {
		t.Errorf("failure %+v", f)
	}
	for _, x := range open {
		if _, err := x.ReceiveResponse(); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, readerOf(x)); n != firstWindow || err != nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
		x.Close()
	}
	x, err := relay.Open(context.Background())
	if err != nil {
		t.Fatalf("when all was read: %v", err)
	}
	x.Abort(Fail(VisitorGone, nil))
	x.Close()
}

// An agent that sends more than its window is cut off: at once by its
// exchange, and for the memory's sake even if nobody reads that.
func TestAgentBeyondItsWindow(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		p, relay, _ := rawAgent(t, connPair)
		p.drain()
		x := get(t, relay)
		p.put(muxBytes(2, appendResponse(nil, &Response{Status: 200, ContentLength: -1})), muxBytes(2, frameOf(typeData, firstWindow+1)))
		if _, err := x.ReceiveResponse(); err != nil {
			t.Fatal(err)
		}
		_, err := x.Data()
		failure(t, err, Protocol)
	})
	t.Run("unread", func(t *testing.T) {
		p, relay, ended := rawAgent(t, connPair)
		p.drain()
		get(t, relay)
		piece := make([]byte, 1<<20)
		for range heldSlack>>20 + 2 {
			if p.put(muxBytes(2, piece)) != nil {
				break
			}
		}
		if err := within(t, "end of the session", ended); err != errHeld {
			t.Errorf("session ended with %v, want %v", err, errHeld)
		}
	})
}

// A CREDIT of another exchange, or of less than is granted, changes nothing.
func TestCreditFindsItsExchange(t *testing.T) {
	agents := make(chan *Exchange, 1)
	p, _, _ := rawRelay(t, connPair, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		agents <- x
		<-fill(x)
	})
	put := func(c credit) { p.put(muxBytes(1, appendCredit(nil, c))) }
	p.put(muxOpen(2), muxBytes(2, request(frameEnd, 9, &Request{})))
	p.put(muxFrame(muxWindowUpdate, 0, 1, 1<<20), muxFrame(muxWindowUpdate, 0, 2, 8<<20))
	p.drain()
	x := within(t, "handler", agents)
	full(t, x)
	put(credit{2, 8, 4 * firstWindow})
	put(credit{2, 10, 4 * firstWindow})
	put(credit{4, 9, 4 * firstWindow})
	put(credit{2, 9, firstWindow / 2})
	put(credit{2, 9, firstWindow + 1000})
	until(t, "the bytes of the only CREDIT that counts", func() bool {
		return x.out.granted.Load() == firstWindow+1000 && x.carried.Load() > firstWindow+1000
	})
	if n := x.carried.Load(); n > firstWindow+5<<10 {
		t.Errorf("%d bytes are under way", n)
	}
}

// Who waits for the peer's window is woken by the end of its wait, whatever
// that is.
func TestWaitForCreditEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(x *Exchange, agent *Session)
		want Cause
	}{
		{"abort", func(x *Exchange, _ *Session) { x.Abort(Fail(VisitorGone, nil)) }, VisitorGone},
		{"lane", func(x *Exchange, _ *Session) { x.lane.close(ErrClosed) }, LinkLost},
		{"agent's session", func(_ *Exchange, agent *Session) { agent.Close() }, LinkLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			agent, relay := tcpPair(t, func(x *Exchange) {
				ctx, cancel := context.WithCancel(context.Background())
				x.OnAbort(func(*Failure) { cancel() })
				<-ctx.Done()
			})
			x := open(t, relay, &Request{ContentLength: -1})
			defer x.Close()
			wrote := fill(x)
			full(t, x)
			tt.end(x, agent)
			failure(t, within(t, "end of Write", wrote), tt.want)
		})
	}
}

// A PONG measures only the PING that it answers, and never no time at all.
func TestRoundTrip(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	p.drain()
	l := only(t, relay)
	pong := func() { l.control.frame(typePong, false, nil) }
	l.control.ping(nil)
	l.control.ping(nil)
	pong()
	relay.rtt.Store(int64(time.Hour))
	l.control.ping(nil)
	pong() // of the second
	pong()
	pong() // of none
	if rtt := relay.roundTrip(); rtt != time.Hour {
		t.Errorf("the answer to an earlier PING made the round trip %v", rtt)
	}
	l.control.ping(nil)
	pong()
	if rtt := relay.roundTrip(); rtt >= time.Hour {
		t.Error("a PING that was alone is not measured")
	}

	// A coarse clock sees no time pass.
	relay.rtt.Store(0)
	l.control.ping(nil)
	l.control.mu.Lock()
	l.control.asked = time.Now().Add(time.Hour)
	l.control.mu.Unlock()
	pong()
	if rtt := relay.rtt.Load(); rtt <= 0 {
		t.Errorf("a round trip of %d ns: it would not be known", rtt)
	}
}

// A CREDIT that comes when its exchange has ended is not the next one's.
func TestLateCreditIsNotTheNexts(t *testing.T) {
	agents := make(chan *Exchange, 2)
	p, _, _ := rawRelay(t, connPair, func(x *Exchange) {
		agents <- x
		x.SendResponse(&Response{Status: 200})
		x.End(nil)
	})
	p.put(muxOpen(2), muxBytes(2, request(frameEnd, 9, &Request{})))
	x := within(t, "an exchange", agents)
	for range 20 { // until the agent waits for the next REQ
		p.put(muxBytes(1, appendCredit(nil, credit{2, 9, 4 * firstWindow})), muxBytes(1, frame(typePing)))
		p.next(1)
	}
	p.drain()
	p.put(muxBytes(2, request(frameEnd, 10, &Request{})))
	within(t, "the next exchange", agents)
	if n := x.out.granted.Load(); n != firstWindow {
		t.Errorf("%d bytes are granted, want the %d of the first window", n, firstWindow)
	}
}

// An agent that had filled the widest window when the visitor left has done
// nothing wrong: the lane lives on.
func TestGivenUpWithFullWindow(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	p.drain()
	x := begin(t, relay)
	p.put(muxBytes(2, appendResponse(nil, &Response{Status: 200, ContentLength: -1})))
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	l := x.lane
	if !relay.take(maxWindow - firstWindow) {
		t.Fatal("no memory is to spare")
	}
	x.in.window.size, x.in.window.granted = maxWindow, maxWindow
	piece := muxBytes(2, append(frameOf(typeData, minChunk), make([]byte, minChunk)...))
	for range maxWindow / minChunk {
		if err := p.put(piece); err != nil {
			t.Fatal(err)
		}
	}
	x.Close()
	until(t, "the end of what came", func() bool { return l.consumed.Load() > maxWindow || relay.Err() != nil })
	p.put(muxFrame(muxWindowUpdate, muxFIN, 2, 0))
	until(t, "the end of the stream", func() bool { return l.streams() == 0 || relay.Err() != nil })
	if err := relay.Err(); err != nil {
		t.Error(err)
	}
}
