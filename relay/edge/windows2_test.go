package edge

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// narrow has the visitor take so much of each stream at first.
func (v *visitor2) narrow(window uint32) {
	v.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
}

// receiveBody reads a stream's body until there are n bytes, without opening
// its window.
func (v *visitor2) receiveBody(stream uint32, n int) (body string) {
	v.t.Helper()
	for len(body) < n {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			v.t.Fatalf("behind %d bytes: %v", len(body), err)
		}
		if f, ok := frame.(*http2.DataFrame); ok && f.StreamID == stream {
			body += string(f.Data())
		}
	}
	return body
}

// No more is sent than a stream's window takes, whether it opens by itself, by
// a change of SETTINGS, or has been made negative by one.
func TestStreamWindow2(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("0123456789", 10)
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, want) }, nil)
	v := s.visit2()
	v.narrow(30)
	stuck := v.open(true, "GET", "/")
	got := v.receiveBody(stuck, 30)
	v.narrow(10) // now it is -20
	v.framer.WriteWindowUpdate(stuck, 20)
	v.framer.WriteWindowUpdate(stuck, 5)
	got += v.receiveBody(stuck, 5)
	// Another stream is not held up.
	other := v.open(true, "GET", "/")
	if a := v.receiveBody(other, 10); a != want[:10] {
		t.Errorf("another stream: %q", a)
	}
	v.narrow(30)
	got += v.receiveBody(stuck, 20)
	if got != want[:55] {
		t.Errorf("got %q of %q", got, want)
	}
	v.framer.WriteWindowUpdate(stuck, 1000)
	if a := v.receive(stuck); a.body != want[55:] || a.end != "END_STREAM" {
		t.Errorf("the rest: %+v", a)
	}
	if a := v.receive(v.open(true, "HEAD", "/")); a.status != "200" || a.body != "" {
		t.Errorf("HEAD: %+v", a)
	}
}

// The connection's window holds up all streams, and opens for all.
func TestConnectionWindow2(t *testing.T) {
	t.Parallel()
	const size = 50_000
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, strings.Repeat("x", size)) }, nil)
	v := s.visit2()
	v.narrow(1 << 20)
	streams := []uint32{v.open(true, "GET", "/"), v.open(true, "GET", "/"), v.open(true, "GET", "/")}
	got, ended, window := 0, 0, firstWindow
	for got < len(streams)*size || ended < len(streams) {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			t.Fatalf("behind %d bytes: %v", got, err)
		}
		if f, ok := frame.(*http2.DataFrame); ok {
			got += len(f.Data())
			if f.StreamEnded() {
				ended++
			}
			if got > window {
				t.Fatalf("%d bytes in a window of %d", got, window)
			}
			if got == window {
				more := 100
				if window > firstWindow {
					more = 1 << 20
				}
				v.framer.WriteWindowUpdate(0, uint32(more))
				window += more
			}
		}
	}
}

// A visitor who takes nothing and then leaves the stream, or the connection, is
// noticed.
func TestLeavingAtAClosedWindow2(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"RST_STREAM", "FIN"} {
		s, entered, gone := leaver(t)
		v := s.visit2()
		v.narrow(0)
		stream := v.open(true, "GET", "/download")
		await(t, entered, "the request")
		v.receiveUntil(stream, func(a *answer2) bool { return a.status != "" })
		if how == "FIN" {
			v.Close()
		} else {
			v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		wantGone(t, await(t, gone, "the agent's word"))
		until(t, "the log line", func() bool { return s.log.has("cause=visitor_gone") })
	}
}

// Uploads that nobody reads are bounded each, and together, and do not hold up
// others before that.
func TestUploadWindows2(t *testing.T) {
	t.Parallel()
	read, end := make(chan bool), make(chan bool)
	s := newStub(t, func(x *tunnel.Exchange) {
		switch string(x.Request().Target) {
		case "/stuck":
			<-read
		case "/none":
			<-end
		}
		n, err := io.Copy(io.Discard, x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		respond(x, 200, strings.Repeat("x", int(n>>10)))
	}, nil)
	release := sync.OnceFunc(func() { close(read) })
	defer release()
	defer close(end)
	v := s.visit2()
	c := s.conn2()
	piece := make([]byte, maxFrame)
	// state is what the relay holds unread, what it has of a stream, and how
	// much more it takes of that.
	state := func(stream uint32) (held, came, room int64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held+c.allowed > connWindow {
			t.Errorf("%d bytes are held, and %d more are let come", c.held, c.allowed)
		}
		if s := c.streams[stream]; s != nil {
			return c.held, s.came, min(s.allowed, c.allowed)
		}
		return c.held, 0, 0
	}
	// What the agent's stream takes goes on; beyond that the window closes, and
	// stays so.
	var stuck []uint32
	for range 3 {
		before, _, _ := state(0)
		looks := 0
		stream, sent := v.open(false, "POST", "/stuck"), int64(0)
		stuck = append(stuck, stream)
		until(t, "the window's end", func() bool {
			held, came, room := state(stream)
			for ; sent-came+maxFrame <= room; sent += maxFrame {
				v.framer.WriteData(stream, false, piece)
			}
			if looks++; came != sent || room >= maxFrame || held-before < streamWindow/2 {
				looks = 0
			}
			return looks == 50
		})
	}
	stream := v.open(false, "POST", "/")
	for sent := int64(0); sent < 20*streamWindow; sent += maxFrame {
		until(t, "room", func() bool {
			_, came, room := state(stream)
			return sent-came+maxFrame <= room
		})
		v.framer.WriteData(stream, false, piece)
	}
	v.framer.WriteData(stream, true, nil)
	if a := v.receive(stream); len(a.body) != 20*streamWindow>>10 {
		t.Errorf("a stream beside them: %+v", a)
	}
	release()
	for _, stream := range stuck {
		v.framer.WriteData(stream, true, nil)
		if a := v.receive(stream); a.end != "END_STREAM" {
			t.Errorf("one that was stuck: %+v", a)
		}
	}
	// All is given back.
	until(t, "the windows", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.held == 0 && c.allowed > connWindow*3/4
	})
	if a := v.receive(v.overrun()); a.end != "RST_STREAM FLOW_CONTROL_ERROR" {
		t.Errorf("more than the window: %+v", a)
	}
}

// overrun sends more than a stream's window in one go, and than what goes on
// meanwhile to an agent that reads nothing.
func (v *visitor2) overrun() (stream uint32) {
	stream = v.open(false, "POST", "/none")
	var out []byte
	for range 2 * streamWindowMost / maxFrame {
		out = appendFrameHeader(out, frameData, 0, stream, maxFrame)
		out = append(out, make([]byte, maxFrame)...)
	}
	v.Write(out)
	return stream
}

// conn2 returns the one connection of a visitor of HTTP/2 that there is.
func (s *stub) conn2() (c *conn2) {
	s.t.Helper()
	until(s.t, "one connection", func() bool {
		all := s.all(nil)
		if len(all) == 1 {
			c = all[0].(*conn2)
		}
		return len(all) == 1
	})
	return c
}

// The fields of a request keep their order, cookies are one, and trailers come
// whether announced or not.
func TestRequestAsSent2(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		body, _ := io.ReadAll(x)
		head := text(x.Request().Header)
		head, _, _ = strings.Cut(head, "X-Forwarded-For")
		got <- head + "\n" + string(body) + "\n" + text(x.Trailers())
		respond(x, 200, "")
	}, nil)
	v := s.visit2()
	stream := v.open(false, "POST", "/", "zz", "1", "cookie", "a=1", "content-length", "4", "b-c_d-e", "2", "cookie", "b=2", "aa", "", "zz", "3", "te", "trailers")
	v.framer.WriteData(stream, false, []byte("body"))
	v.raw(frameHeaders, flagEndHeaders|flagEndStream, stream, v.encode("x-sum", "1", "host", "y.test", "grpc-status", "0")...)
	v.receive(stream)
	const want = "Host: x.test\nZz: 1\nCookie: a=1; b=2\nContent-Length: 4\nB-C_d-E: 2\nAa: \nZz: 3\n" +
		"\nbody\nX-Sum: 1\nGrpc-Status: 0\n"
	if got := await(t, got, "the request"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A visitor with no room for a table of fields is never sent what needs one.
func TestNoTable2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "", "X-A", "1") }, nil)
	v := s.visit2()
	v.framer.ReadMetaHeaders = nil
	v.framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
	var blocks [][]byte
	for len(blocks) < 2 {
		stream := v.open(true, "GET", "/")
		for n := len(blocks); n == len(blocks); {
			frame, err := v.framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f, ok := frame.(*http2.HeadersFrame); ok && f.StreamID == stream {
				blocks = append(blocks, bytes.Clone(f.HeaderBlockFragment()))
			}
		}
	}
	if blocks[0][0] != hpackNoTable || !bytes.Equal(blocks[0][1:], blocks[1]) {
		t.Errorf("the blocks are %x and %x", blocks[0], blocks[1])
	}
}
