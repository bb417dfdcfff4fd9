package edge

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// goAways reads frames until the connection ends, answering what comes, and
// returns the GOAWAYs.
func (v *visitor2) goAways() (all []http2.GoAwayFrame, err error) {
	for {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			return all, err
		}
		if f, ok := frame.(*http2.GoAwayFrame); ok {
			all = append(all, *f)
		}
	}
}

// wantLast checks that the connection ends with one GOAWAY, and that with a
// FIN.
func (v *visitor2) wantLast(last uint32, code http2.ErrCode) {
	v.t.Helper()
	all, err := v.goAways()
	if len(all) != 1 || all[0].LastStreamID != last || all[0].ErrCode != code || err != io.EOF {
		v.t.Errorf("GOAWAYs %v, then %v; want one of stream %d and %v", all, err, last, code)
	}
}

// Heads that begin and do not end, and a beginning that does not.
func TestHeadTimeout2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.HeadTimeout = time.Millisecond })
	for name, send := range map[string]func(v *visitor2){
		"HEADERS without CONTINUATION": func(v *visitor2) { v.raw(frameHeaders, flagEndStream, 1, v.block()...) },
		"half of a HEADERS": func(v *visitor2) {
			block := v.block()
			v.Write(append(appendFrameHeader(nil, frameHeaders, flagEndStream, 1, len(block)), block[:3]...))
		},
	} {
		v := s.visit2()
		send(v)
		if got := v.receiveQuietly(); got != "GOAWAY PROTOCOL_ERROR" {
			t.Errorf("%s: %q", name, got)
		}
		v.Close()
	}
	for _, begin := range []string{"", "PRI", preface2, preface2 + "\x00\x00"} {
		nc := s.dial2()
		io.WriteString(nc, begin)
		v := &visitor2{Conn: nc, t: t, framer: http2.NewFramer(nc, nc.r)}
		if got := v.receiveQuietly(); got != "GOAWAY PROTOCOL_ERROR" {
			t.Errorf("%q: %q", begin, got)
		}
	}
	// Who has sent nothing of a request is late with none.
	until(t, "the lines", func() bool { return strings.Count(s.log.String(), "status=0 cause=request_timeout") >= 4 })
	if n := strings.Count(s.log.String(), "msg=request"); n != 4 {
		t.Errorf("%d lines, want 4: %s", n, s.log)
	}
}

// dial2 connects as a visitor of HTTP/2 who has said nothing yet.
func (s *stub) dial2() *rawVisitor {
	s.t.Helper()
	nc, err := dialer(s.second)(s.t.Context(), "tcp", "")
	if err != nil {
		s.t.Fatal(err)
	}
	return visitorOn(s.t, nc)
}

// A stream that is open does not keep a head from being waited for no longer.
func TestHeadTimeoutBesideOthers2(t *testing.T) {
	t.Parallel()
	s, entered, gone := leaver(t)
	s.HeadTimeout = time.Millisecond
	v := s.visit2()
	v.open(true, "GET", "/events")
	await(t, entered, "the request")
	v.raw(frameHeaders, flagEndStream, 3, v.block()...)
	if a := v.receive(0); a.end != "GOAWAY PROTOCOL_ERROR" {
		t.Errorf("got %q", a.end)
	}
	wantGone(t, await(t, gone, "the agent's word"))
}

// Connections without requests end, with a word.
func TestIdleTimeout2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, func(cfg *Config) { cfg.IdleTimeout = time.Millisecond })
	v := s.visit2()
	v.wantLast(0, http2.ErrCodeNo)
	v = s.visit2()
	v.receive(v.open(true, "GET", "/"))
	v.wantLast(1, http2.ErrCodeNo)
}

// Streams that wait for their next request do not wait for ever.
func TestParked2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	v := s.visit2()
	for range 3 {
		v.receive(v.open(true, "GET", "/"))
	}
	c := s.conn2()
	parked := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.parked)
	}
	until(t, "a parked stream", func() bool { return parked() > 0 })
	until(t, "its end", func() bool { return parked() == 0 })
	if a := v.receive(v.open(true, "GET", "/")); a.body != "ok" {
		t.Errorf("then: %+v", a)
	}
}

// A relay that drains says so, serves what was under way meanwhile, and no
// more.
func TestDrain2(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "drained")
	}, nil)
	idle, busy := s.visit2(), s.visit2()
	first := busy.open(true, "GET", "/")
	await(t, g.entered, "a request")
	until(t, "both", func() bool {
		for _, c := range s.all(nil) {
			c := c.(*conn2)
			c.mu.Lock()
			unsettled := c.heading || c.running == 0 && c.busy() // SETTINGS still to be sent
			c.mu.Unlock()
			if unsettled {
				return false
			}
		}
		return len(s.all(nil)) == 2
	})
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	idle.wantLast(0, http2.ErrCodeNo)
	idle.Close()
	busy.awaitGoAway(maxWindow)
	second := busy.open(true, "GET", "/") // under way when the visitor learned
	await(t, g.entered, "a request behind the first GOAWAY")
	busy.awaitGoAway(second)
	busy.open(true, "GET", "/") // not served
	g.open()
	answers := map[uint32]string{}
	for {
		frame, err := busy.framer.ReadFrame()
		if err != nil {
			break
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			answers[f.StreamID] += string(f.Data())
		case *http2.RSTStreamFrame:
			t.Errorf("a reset of %d", f.StreamID)
		}
	}
	busy.Close()
	if len(answers) != 2 || answers[first] != "drained" || answers[second] != "drained" {
		t.Errorf("got %v", answers)
	}
	if err := await(t, drained, "the drain"); err != nil {
		t.Error(err)
	}
	late := s.visit2()
	late.wantLast(0, http2.ErrCodeNo)
}

// awaitGoAway reads to the next GOAWAY.
func (v *visitor2) awaitGoAway(last uint32) {
	v.t.Helper()
	for {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			v.t.Fatal(err)
		}
		if f, ok := frame.(*http2.GoAwayFrame); ok {
			if f.LastStreamID != last || f.ErrCode != http2.ErrCodeNo {
				v.t.Fatalf("got %v, want one of stream %d", f, last)
			}
			return
		}
	}
}

// A visitor who says that they open no more streams gets the last answer, and
// the connection's end.
func TestVisitorGoesAway2(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "ok")
	}, nil)
	v := s.visit2()
	stream := v.open(true, "GET", "/")
	v.framer.WriteGoAway(0, http2.ErrCodeNo, nil)
	v.awaitGoAway(maxWindow)
	g.open()
	if a := v.receive(stream); a.body != "ok" {
		t.Errorf("got %+v", a)
	}
	if _, err := v.goAways(); err != io.EOF {
		t.Errorf("the connection ended with %v", err)
	}
}

// Shed makes room without harm to a request.
func TestShed2(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "ok")
	}, nil)
	busy := s.visit2()
	stream := busy.open(true, "GET", "/")
	await(t, g.entered, "the request")
	idle := s.visit2()
	idle.framer.WritePing(false, [8]byte{1})
	for answered := false; !answered; {
		frame, err := idle.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		_, answered = frame.(*http2.PingFrame)
	}
	stop := s.shed()
	idle.wantLast(0, http2.ErrCodeNo)
	stop()
	g.open()
	if a := busy.receive(stream); a.body != "ok" {
		t.Errorf("busy: %+v", a)
	}
}

// A connection that is cut, or ends for a fault, leaves its answers visibly
// cut, over TLS too, and the agent knows.
func TestConnectionEndsInAnAnswer2(t *testing.T) {
	t.Parallel()
	s, entered, gone := leaver(t)
	secure := s.secureDoor("x.test")
	for name, end := range map[string]func(v *visitor2){
		"a fault": func(v *visitor2) { v.raw(framePing, 0, 0, 1) },
		"a cut": func(*visitor2) {
			for _, c := range s.all(nil) {
				c.cut()
			}
		},
	} {
		nc, _ := s.visitSecurely(secure, "h2")
		v := visitor2On(t, nc)
		stream := v.open(true, "GET", "/events")
		await(t, entered, "the request")
		v.receiveUntil(stream, func(a *answer2) bool { return a.body != "" })
		end(v)
		for frame, err := v.framer.ReadFrame(); err == nil; frame, err = v.framer.ReadFrame() {
			if h := frame.Header(); h.StreamID == stream && h.Flags&flagEndStream != 0 {
				t.Errorf("%s: END_STREAM", name)
			}
		}
		wantGone(t, await(t, gone, "the agent's word"))
		v.Close()
	}
	if !strings.Contains(s.log.String(), "cause=visitor_gone") {
		t.Errorf("log: %s", s.log)
	}
}

// An answer that a visitor takes slowly is no idleness, nor cut by a drain.
func TestSlowReader2(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("x", 20_000)
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, want) }, nil)
	ours, theirs := net.Pipe()
	s.wg.Go(func() { s.Serve2(theirs, theirs, nil, nil) })
	nc := visitorOn(t, ours)
	c := s.conn2()
	v := &visitor2{Conn: nc, t: t, framer: http2.NewFramer(nc, nc.r), next: 1}
	v.hpack = hpack.NewEncoder(&v.head)
	v.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(v, preface2+string(appendSettings(nil)))
	stream := v.open(true, "GET", "/")
	until(t, "the answer", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.last == stream && c.running == 0
	})
	for range 3 {
		c.look(time.Now().Add(time.Hour))
	}
	if c.closeIdle() || !c.answering() {
		t.Error("a connection with half an answer is taken for idle")
	}
	s.draining.Store(true)
	c.drain()
	for range 3 {
		c.look(time.Now().Add(time.Hour))
	}
	if a := v.receive(stream); a.body != want || a.end != "END_STREAM" {
		t.Errorf("%d bytes, %s", len(a.body), a.end)
	}
}

// A request whose head is being read is under way: a relay that drains in that
// moment serves it, and a malformed one is done with.
func TestDrainWhileHeadIsRead2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	nc, far := net.Pipe()
	defer nc.Close()
	defer far.Close()
	c := newConn2(s.Edge, nc, nc, nil)
	c.heading = false
	c.block = block{stream: 1, head: &c.aside, end: true}
	if err := c.beginBlock(); err != nil {
		t.Fatal(err)
	}
	if c.closeIdle() {
		t.Error("the connection is taken for idle")
	}
	if c.drain(); c.ending {
		t.Error("the connection ends before the request is served")
	}
	c.block.opens.asked.reset(false)
	if err := c.takeRequest(1, c.block.opens, true); err != nil {
		t.Fatal(err)
	}
	if c.running != 0 {
		t.Errorf("%d requests are under way, want none", c.running)
	}
}

// A connection that has ended reads until its visitor has, whatever drains.
func TestDrainOfEnded2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	nc, far := net.Pipe()
	defer nc.Close()
	c := newConn2(s.Edge, nc, nc, nil)
	c.heading, c.over = false, true
	c.drain()
	wrote := make(chan error, 1)
	go func() { // ended by far's Close
		_, err := far.Write([]byte("x"))
		wrote <- err
	}()
	if _, err := nc.Read(make([]byte, 1)); err != nil {
		t.Errorf("Read: %v, want what the visitor sends", err)
	}
	far.Close()
	await(t, wrote, "the end of Write")
}
