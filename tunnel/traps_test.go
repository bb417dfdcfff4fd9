package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The multiplexer's own timeouts and pings are off: one closes the session
// when a late FIN meets it, one when a peer is slow to accept, one leaves a
// frame queued and the peer's window wrong, and pings wait behind bulk data.
func TestMultiplexerTimesNothing(t *testing.T) {
	c := muxConfig(acceptBacklog)
	if c.EnableKeepAlive {
		t.Error("keep-alive is on")
	}
	if c.StreamOpenTimeout != 0 || c.StreamCloseTimeout != 0 {
		t.Errorf("open timeout %v, close timeout %v, want none", c.StreamOpenTimeout, c.StreamCloseTimeout)
	}
	if c.ConnectionWriteTimeout < time.Hour {
		t.Errorf("write timeout %v: the heartbeat must come first", c.ConnectionWriteTimeout)
	}
	if c.AcceptBacklog < 256 || c.AcceptBacklog > 1024 {
		t.Errorf("accept backlog %d", c.AcceptBacklog)
	}
}

// The multiplexer makes io.EOF of a dead session. Whatever its end was, a half
// without END is cut.
func TestDeadSessionIsNoEnd(t *testing.T) {
	ends := map[string]func(l *lane, conn net.Conn){
		"FIN":          func(_ *lane, c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"close":        func(_ *lane, c net.Conn) { c.Close() },
		"RST":          func(_ *lane, c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"Close":        func(l *lane, _ net.Conn) { l.session.Close() },
		"multiplexer":  func(l *lane, _ net.Conn) { l.mux.Close() },
		"garbage":      func(_ *lane, c net.Conn) { c.Write(bytes.Repeat([]byte("?"), 64<<10)) },
		"control ends": func(l *lane, _ net.Conn) { l.control.stream.Close() },
	}
	for name, end := range ends {
		for _, headFirst := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " head ", headFirst), func(t *testing.T) {
				inside, request := make(chan bool, 1), make(chan error, 1)
				a, r := connPair(t)
				agent, relay := pair(t, a, r, func(x *Exchange) {
					inside <- true
					aborted := make(chan *Failure, 1)
					x.OnAbort(func(f *Failure) { aborted <- f })
					if headFirst {
						x.SendResponse(&Response{Status: 200, ContentLength: -1})
						x.Write([]byte("half"))
						x.Flush()
					}
					_, err := io.ReadAll(readerOf(x))
					request <- err
					<-aborted
				})
				x, err := relay.Open(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				defer x.Close()
				x.SendRequest(&Request{Method: []byte("POST"), ContentLength: -1})
				x.Write([]byte("half"))
				x.Flush()
				if headFirst {
					if _, err := x.ReceiveResponse(); err != nil {
						t.Fatal(err)
					}
					if p, err := x.Data(); string(p) != "half" || err != nil {
						t.Fatalf("data %q, %v", p, err)
					}
				}
				within(t, "handler", inside)
				end(only(t, agent), a)
				if headFirst {
					_, err = x.Data()
				} else {
					_, err = x.ReceiveResponse()
				}
				failure(t, err, LinkLost)
				failure(t, within(t, "the request's end", request), LinkLost)
			})
		}
	}
}

// A stream that was given up is closed late by who still serves it. The lane
// lives on.
func TestLateFINKeepsTheLane(t *testing.T) {
	leave, inside := make(chan bool), make(chan bool, 20)
	release := sync.OnceFunc(func() { close(leave) })
	defer release()
	_, relay := tcpPair(t, func(x *Exchange) {
		if string(x.Request().Target) != "/late" {
			answer(x)
			return
		}
		inside <- true
		<-leave
	})
	for range 20 {
		x := beginAt(t, relay, "/late")
		within(t, "handler", inside)
		x.Abort(&Failure{Cause: VisitorGone})
		x.Close()
	}
	release()
	for range 20 {
		if _, err := ask(relay, "/", []byte("x")); err != nil {
			t.Fatalf("after late ends: %v", err)
		}
	}
	l := only(t, relay)
	until(t, "end of what was given up", func() bool { return l.mux.NumStreams() <= 2 })
	if relay.Err() != nil {
		t.Errorf("session ended: %v", relay.Err())
	}
}

// A peer that keeps a stream open that was given up, or sends on it without
// end, loses the lane.
func TestStreamIsReadEmpty(t *testing.T) {
	p, relay, ended := rawAgent(t, connPair)
	l := only(t, relay)
	x := begin(t, relay)
	if l.readOut(x.stream, time.Now().Add(time.Millisecond)) {
		t.Error("a stream that the peer keeps open counts as ended")
	}
	// An Abort that has set a deadline late does not count.
	read := make(chan bool, 1)
	go func() { read <- l.readOut(x.stream, time.Now().Add(patience)) }()
	for range 100 {
		x.wake()
		runtime.Gosched()
	}
	select {
	case <-read:
		t.Error("an Abort ends the reading")
	default:
	}
	p.drain()
	p.put(muxBytes(2, make([]byte, 1000)), muxFrame(muxWindowUpdate, muxFIN, 2, 0))
	if !within(t, "the end of the reading", read) {
		t.Error("the stream's end is not seen")
	}
	x.Close() // two must not read at once: the multiplexer would lock up
	until(t, "end of the stream", func() bool { return l.mux.NumStreams() == 1 })
	if relay.Err() != nil {
		t.Fatalf("session ended: %v", relay.Err())
	}

	x = begin(t, relay)
	l.mu.Lock()
	for id := uint32(1000); len(l.exchanges) <= maxStreams; id += 2 {
		l.exchanges[id] = x
	}
	l.mu.Unlock()
	x.Close()
	if err := within(t, "end of the session", ended); !errors.Is(err, errUnended) {
		t.Errorf("session ended with %v", err)
	}
}

// Closing drops what the multiplexer has queued: drain, flush, close.
func TestCloseSendsWhatWasWritten(t *testing.T) {
	for name, connect := range map[string]connector{"pipe": pipe, "tcp": connPair} {
		t.Run(name, func(t *testing.T) {
			a, r := connect(t)
			agent, relay := pair(t, a, r, answer)
			for i := range inboxSize {
				relay.Send(&Notice{Message: fmt.Sprint(i)})
			}
			relay.Close()
			for i := range inboxSize {
				m, err := agent.Receive(context.Background())
				if err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				if got := m.(*Notice).Message; got != fmt.Sprint(i) {
					t.Errorf("message %q, want %d", got, i)
				}
			}
			if _, err := agent.Receive(context.Background()); err == nil {
				t.Error("one message too many")
			}
		})
	}
}

// Frames for streams that are not there cost no line in a log.
func TestStrayFramesAreSilent(t *testing.T) {
	var out bytes.Buffer
	log.SetOutput(&out)
	defer log.SetOutput(log.Default().Writer())
	p, relay, _ := rawAgent(t, connPair)
	if _, ok := muxConfig(acceptBacklog).Logger.(silent); !ok || muxConfig(acceptBacklog).LogOutput != nil {
		t.Error("the multiplexer has a log")
	}
	for i := range uint32(1000) {
		p.put(muxBytes(1000+2*i, []byte("stray")), muxFrame(muxWindowUpdate, 0, 1000+2*i, 1), muxFrame(muxWindowUpdate, muxRST, 1000+2*i, 0))
	}
	p.put(muxBytes(1, frame(typePing)))
	for {
		if typ, _ := p.next(1); typ == typePong {
			break
		}
	}
	if relay.Err() != nil {
		t.Errorf("session ended: %v", relay.Err())
	}
	if out.Len() > 0 {
		t.Errorf("log: %s", out.String())
	}
}

// A watcher notes the multiplexer's frames that pass.
type watcher struct {
	net.Conn
	mu      sync.Mutex
	begun   bool   // guarded by mu; the preface has passed, in one write
	g       guard  // guarded by mu
	largest uint32 // guarded by mu
	pings   int    // guarded by mu
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	for i := 0; w.begun && i < len(p); i++ {
		if err := w.g.feed(p[i:i+1], 1); err != nil {
			w.pings++
		}
		if w.g.have == 0 {
			w.largest = max(w.largest, w.g.skip)
		}
	}
	w.begun = true
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// A Write becomes one frame, which nothing overtakes.
func TestFramesAreBounded(t *testing.T) {
	a, r := connPair(t)
	watchers := []*watcher{{Conn: a}, {Conn: r}}
	agent, relay := pair(t, watchers[0], watchers[1], answer)
	body := make([]byte, 2<<20)
	big := &Request{Method: []byte("POST"), Target: bytes.Repeat([]byte("/"), 60<<10), ContentLength: int64(len(body))}
	x, err := relay.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	x.SendRequest(big)
	go func() {
		x.Write(body)
		x.End(Header{{[]byte("t"), bytes.Repeat([]byte("v"), 60<<10)}})
	}()
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, readerOf(x)); n != int64(len(body)) || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	for range 3 {
		relay.Send(&Notice{Message: string(bytes.Repeat([]byte("m"), maxControl-100))})
		if _, err := agent.Receive(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for i, w := range watchers {
		w.mu.Lock()
		if w.largest > maxChunk || w.largest < minChunk/2 || w.pings > 0 {
			t.Errorf("end %d: largest frame %d bytes, %d that the guard refuses", i, w.largest, w.pings)
		}
		w.mu.Unlock()
	}
}

// Where a session shuts down, who waits for one of its streams turns in a
// circle until the session has closed: with many of them it takes its time.
func TestManyExchangesEndAtOnce(t *testing.T) {
	const n = 500
	for name, end := range map[string]func(l *lane){
		"connection": func(l *lane) { l.link.Conn.Close() },
		"session":    func(l *lane) { l.session.Close() },
		"protocol":   func(l *lane) { l.link.Write(append(muxOpen(1), muxOpen(1)...)) },
	} {
		t.Run(name, func(t *testing.T) {
			var inside atomic.Int32
			agent, relay := tcpPair(t, func(x *Exchange) {
				inside.Add(1)
				x.Data()
			})
			var waits sync.WaitGroup
			for range n {
				x := open(t, relay, &Request{ContentLength: -1})
				x.Flush()
				waits.Go(func() {
					defer x.Close()
					if _, err := x.ReceiveResponse(); err == nil || AsFailure(err).Cause != LinkLost {
						t.Errorf("error %v", err)
					}
				})
			}
			until(t, "exchanges", func() bool { return inside.Load() == n })
			l := only(t, agent)
			start := time.Now()
			end(l)
			within(t, "end of the agent's session", agent.Done())
			within(t, "end of the relay's session", relay.Done())
			waits.Wait()
			if d := time.Since(start); d > deadAfter {
				t.Errorf("%d exchanges took %v to end", n, d)
			}
		})
	}
}
