package edge

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// raw sends a frame, valid or not.
func (v *visitor2) raw(typ frameType, flags uint8, stream uint32, payload ...byte) {
	v.Write(append(appendFrameHeader(nil, typ, flags, stream, len(payload)), payload...))
}

// block is the header block of a GET, with more fields as for open.
func (v *visitor2) block(fields ...string) []byte {
	return v.encode(append([]string{":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/"}, fields...)...)
}

// word is a number as frames hold it.
func word(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// setting is one entry of SETTINGS.
func setting(id uint16, n uint32) []byte { return append([]byte{byte(id >> 8), byte(id)}, word(n)...) }

// What ends a connection, and is said (RFC 9113 5.4.1).
func TestConnectionErrors2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	get := func(v *visitor2) uint32 { // one that is answered
		stream := v.open(true, "GET", "/")
		v.receive(stream)
		return stream
	}
	tests := []struct {
		name string
		send func(v *visitor2)
		want string
	}{
		{"SETTINGS of a stream", func(v *visitor2) { v.raw(frameSettings, 0, 1) }, "PROTOCOL_ERROR"},
		{"SETTINGS of 5 bytes", func(v *visitor2) { v.raw(frameSettings, 0, 0, 1, 2, 3, 4, 5) }, "FRAME_SIZE_ERROR"},
		{"an acknowledgement with settings", func(v *visitor2) { v.raw(frameSettings, flagAck, 0, setting(4, 1)...) }, "FRAME_SIZE_ERROR"},
		{"ENABLE_PUSH of 2", func(v *visitor2) { v.raw(frameSettings, 0, 0, setting(settingEnablePush, 2)...) }, "PROTOCOL_ERROR"},
		{"INITIAL_WINDOW_SIZE above its bound", func(v *visitor2) { v.raw(frameSettings, 0, 0, setting(settingInitialWindow, 1<<31)...) }, "FLOW_CONTROL_ERROR"},
		{"MAX_FRAME_SIZE below its bound", func(v *visitor2) { v.raw(frameSettings, 0, 0, setting(settingMaxFrameSize, maxFrame-1)...) }, "PROTOCOL_ERROR"},
		{"MAX_FRAME_SIZE above its bound", func(v *visitor2) { v.raw(frameSettings, 0, 0, setting(settingMaxFrameSize, 1<<24)...) }, "PROTOCOL_ERROR"},
		{"DATA of the connection", func(v *visitor2) { v.raw(frameData, 0, 0, 1) }, "PROTOCOL_ERROR"},
		{"DATA of an idle stream", func(v *visitor2) { v.raw(frameData, 0, 1, 1) }, "PROTOCOL_ERROR"},
		{"DATA of a stream of ours", func(v *visitor2) { v.raw(frameData, 0, 2, 1) }, "PROTOCOL_ERROR"},
		{"DATA with too much padding", func(v *visitor2) { v.raw(frameData, flagPadded, v.open(false, "POST", "/"), 2, 0) }, "PROTOCOL_ERROR"},
		{"DATA with no room for its padding's length", func(v *visitor2) { v.raw(frameData, flagPadded, v.open(false, "POST", "/")) }, "PROTOCOL_ERROR"},
		{"HEADERS of the connection", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders|flagEndStream, 0, v.block()...) }, "PROTOCOL_ERROR"},
		{"HEADERS of a stream of ours", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders|flagEndStream, 2, v.block()...) }, "PROTOCOL_ERROR"},
		{"HEADERS with too much padding", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders|flagPadded, 1, 9, 0x82) }, "PROTOCOL_ERROR"},
		{"HEADERS too short for its priority", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders|flagPriority, 1, 0, 0, 0) }, "FRAME_SIZE_ERROR"},
		{"HEADERS of a stream that depends on itself", func(v *visitor2) {
			v.raw(frameHeaders, flagEndHeaders|flagEndStream|flagPriority, 1, append([]byte{0, 0, 0, 1, 9}, v.block()...)...)
		}, "PROTOCOL_ERROR"},
		{"HEADERS of a stream that was answered", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders|flagEndStream, get(v), v.block()...) }, "STREAM_CLOSED"},
		{"HEADERS of a stream that was passed over", func(v *visitor2) {
			v.next = 5
			get(v)
			v.raw(frameHeaders, flagEndHeaders|flagEndStream, 3, v.block()...)
		}, "STREAM_CLOSED"},
		{"CONTINUATION of nothing", func(v *visitor2) { v.raw(frameContinuation, flagEndHeaders, 1, v.block()...) }, "PROTOCOL_ERROR"},
		{"CONTINUATION of another stream", func(v *visitor2) {
			v.raw(frameHeaders, 0, 1, v.block()...)
			v.raw(frameContinuation, flagEndHeaders, 3)
		}, "PROTOCOL_ERROR"},
		{"PING inside a header block", func(v *visitor2) {
			v.raw(frameHeaders, 0, 1, v.block()...)
			v.raw(framePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
		}, "PROTOCOL_ERROR"},
		{"an unknown frame inside a header block", func(v *visitor2) {
			v.raw(frameHeaders, 0, 1, v.block()...)
			v.raw(0x77, 0, 1)
		}, "PROTOCOL_ERROR"},
		{"a header block that is none", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders, 1, 0xff, 0xff, 0xff, 0xff, 0xff) }, "COMPRESSION_ERROR"},
		{"a header block cut short", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders, 1, v.block("a", "b")[:7]...) }, "COMPRESSION_ERROR"},
		{"a dynamic table above its bound", func(v *visitor2) { v.raw(frameHeaders, flagEndHeaders, 1, 0x3f, 0xe2, 0x1f) }, "COMPRESSION_ERROR"},
		{"PRIORITY of the connection", func(v *visitor2) { v.raw(framePriority, 0, 0, 0, 0, 0, 0, 0) }, "PROTOCOL_ERROR"},
		{"PRIORITY of 4 bytes", func(v *visitor2) { v.raw(framePriority, 0, 1, 0, 0, 0, 0) }, "FRAME_SIZE_ERROR"},
		{"PRIORITY of a stream that depends on itself", func(v *visitor2) { v.raw(framePriority, 0, 1, 0, 0, 0, 1, 0) }, "PROTOCOL_ERROR"},
		{"RST_STREAM of an idle stream", func(v *visitor2) { v.raw(frameReset, 0, 1, word(8)...) }, "PROTOCOL_ERROR"},
		{"RST_STREAM of 3 bytes", func(v *visitor2) { v.raw(frameReset, 0, v.open(false, "POST", "/"), 0, 0, 0) }, "FRAME_SIZE_ERROR"},
		{"PUSH_PROMISE", func(v *visitor2) { v.raw(framePushPromise, flagEndHeaders, 1, word(2)...) }, "PROTOCOL_ERROR"},
		{"PING of a stream", func(v *visitor2) { v.raw(framePing, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8) }, "PROTOCOL_ERROR"},
		{"PING of 7 bytes", func(v *visitor2) { v.raw(framePing, 0, 0, 1, 2, 3, 4, 5, 6, 7) }, "FRAME_SIZE_ERROR"},
		{"GOAWAY of a stream", func(v *visitor2) { v.raw(frameGoAway, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) }, "PROTOCOL_ERROR"},
		{"GOAWAY of 7 bytes", func(v *visitor2) { v.raw(frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0) }, "FRAME_SIZE_ERROR"},
		{"WINDOW_UPDATE of 3 bytes", func(v *visitor2) { v.raw(frameWindowUpdate, 0, 0, 0, 0, 1) }, "FRAME_SIZE_ERROR"},
		{"WINDOW_UPDATE of 0", func(v *visitor2) { v.raw(frameWindowUpdate, 0, 0, word(0)...) }, "PROTOCOL_ERROR"},
		{"WINDOW_UPDATE above the bound", func(v *visitor2) { v.raw(frameWindowUpdate, 0, 0, word(maxWindow)...) }, "FLOW_CONTROL_ERROR"},
		{"WINDOW_UPDATE of an idle stream", func(v *visitor2) { v.raw(frameWindowUpdate, 0, 1, word(1)...) }, "PROTOCOL_ERROR"},
		{"a frame above 16 KiB", func(v *visitor2) { v.raw(0x77, 0, 0, make([]byte, maxFrame+1)...) }, "FRAME_SIZE_ERROR"},
	}
	for _, tt := range tests {
		v := s.visit2()
		tt.send(v)
		if a := v.receive(0); a.end != "GOAWAY "+tt.want {
			t.Errorf("%s: %q, want a GOAWAY of %s", tt.name, a.end, tt.want)
		}
		v.Close()
	}
	until(t, "a line for each", func() bool { return strings.Count(s.log.String(), "status=0 cause=bad_request") == len(tests) })
}

// What is no connection of HTTP/2 is told so.
func TestPrefaces2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	settings := string(appendSettings(nil))
	for _, sent := range []string{
		"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings,
		preface2 + string(appendFrameHeader(nil, framePing, 0, 0, 8)) + "12345678",
		preface2 + string(appendFrameHeader(nil, frameSettings, flagAck, 0, 0)),
		preface2 + string(appendFrameHeader(nil, frameHeaders, flagEndHeaders, 1, 1)) + "\x82",
	} {
		nc, err := net.Dial("tcp", s.second)
		if err != nil {
			t.Fatal(err)
		}
		v := visitorOn(t, nc)
		io.WriteString(v, sent)
		v2 := &visitor2{Conn: v, t: t, framer: http2.NewFramer(v, v.r)}
		if a := v2.receive(0); a.end != "GOAWAY PROTOCOL_ERROR" {
			t.Errorf("%q: %q", sent, a.end)
		}
		v.Close()
	}
}

// What ends a stream and leaves the connection alone (RFC 9113 5.4.2).
func TestStreamErrors2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		respond(x, 200, string(body))
	}, nil)
	head := func(fields ...string) func(*visitor2) uint32 {
		return func(v *visitor2) uint32 { return v.openRaw(true, fields...) }
	}
	get := func(fields ...string) func(*visitor2) uint32 {
		return func(v *visitor2) uint32 { return v.open(true, "GET", "/", fields...) }
	}
	post := func(fields []string, then func(v *visitor2, stream uint32)) func(*visitor2) uint32 {
		return func(v *visitor2) uint32 {
			stream := v.open(false, "POST", "/", fields...)
			then(v, stream)
			return stream
		}
	}
	tests := []struct {
		name string
		send func(v *visitor2) uint32
		want string
	}{
		{"no method", head(":scheme", "http", ":authority", "x.test", ":path", "/"), "PROTOCOL_ERROR"},
		{"no scheme", head(":method", "GET", ":authority", "x.test", ":path", "/"), "PROTOCOL_ERROR"},
		{"another scheme", head(":method", "GET", ":scheme", "ftp", ":authority", "x.test", ":path", "/"), "PROTOCOL_ERROR"},
		{"no path", head(":method", "GET", ":scheme", "http", ":authority", "x.test"), "PROTOCOL_ERROR"},
		{"an empty path", head(":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", ""), "PROTOCOL_ERROR"},
		{"two methods", head(":method", "GET", ":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/"), "PROTOCOL_ERROR"},
		{"two authorities", head(":method", "GET", ":authority", "x.test", ":scheme", "http", ":authority", "x.test", ":path", "/"), "PROTOCOL_ERROR"},
		{"a status", get(":status", "200"), "PROTOCOL_ERROR"},
		{"an unknown pseudo-field", head(":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/", ":protocol", "websocket"), "PROTOCOL_ERROR"},
		{"a pseudo-field behind others", head(":method", "GET", ":scheme", "http", ":authority", "x.test", "a", "1", ":path", "/"), "PROTOCOL_ERROR"},
		{"an upper-case name", get("A", "1"), "PROTOCOL_ERROR"},
		{"an empty name", get("", "1"), "PROTOCOL_ERROR"},
		{"a space in a name", get("a b", "1"), "PROTOCOL_ERROR"},
		{"a colon in a name", get("a:", "1"), "PROTOCOL_ERROR"},
		{"NUL in a value", get("a", "1\x002"), "PROTOCOL_ERROR"},
		{"LF in a value", get("a", "1\n2"), "PROTOCOL_ERROR"},
		{"CR in a value", get("a", "1\r2"), "PROTOCOL_ERROR"},
		{"a space before a value", get("a", " 1"), "PROTOCOL_ERROR"},
		{"a tab behind a value", get("a", "1\t"), "PROTOCOL_ERROR"},
		{"CR LF in the path", head(":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/\r\nA: b"), "PROTOCOL_ERROR"},
		{"Connection", get("connection", "close"), "PROTOCOL_ERROR"},
		{"Proxy-Connection", get("proxy-connection", "close"), "PROTOCOL_ERROR"},
		{"Keep-Alive", get("keep-alive", "5"), "PROTOCOL_ERROR"},
		{"Transfer-Encoding", get("transfer-encoding", "chunked"), "PROTOCOL_ERROR"},
		{"Upgrade", get("upgrade", "h2c"), "PROTOCOL_ERROR"},
		{"TE other than trailers", get("te", "trailers, gzip"), "PROTOCOL_ERROR"},
		{"more than its length", post([]string{"content-length", "3"}, func(v *visitor2, stream uint32) { v.framer.WriteData(stream, false, []byte("four")) }), "PROTOCOL_ERROR"},
		{"less than its length", post([]string{"content-length", "3"}, func(v *visitor2, stream uint32) { v.framer.WriteData(stream, true, []byte("2.")) }), "PROTOCOL_ERROR"},
		{"less than its length, with trailers", post([]string{"content-length", "3"}, func(v *visitor2, stream uint32) { v.trailers(stream, "a", "1") }), "PROTOCOL_ERROR"},
		{"a pseudo-field in trailers", post(nil, func(v *visitor2, stream uint32) { v.trailers(stream, ":path", "/") }), "PROTOCOL_ERROR"},
		{"an upper-case name in trailers", post(nil, func(v *visitor2, stream uint32) { v.trailers(stream, "A", "1") }), "PROTOCOL_ERROR"},
		{"Connection in trailers", post(nil, func(v *visitor2, stream uint32) { v.trailers(stream, "connection", "a") }), "PROTOCOL_ERROR"},
		{"too large trailers", post(nil, func(v *visitor2, stream uint32) { v.trailers(stream, "a", strings.Repeat("v", 40<<10)) }), "PROTOCOL_ERROR"},
		{"trailers that end nothing", post(nil, func(v *visitor2, stream uint32) {
			v.raw(frameHeaders, flagEndHeaders, stream, v.encode("a", "1")...)
		}), "PROTOCOL_ERROR"},
		{"WINDOW_UPDATE of 0", post(nil, func(v *visitor2, stream uint32) { v.raw(frameWindowUpdate, 0, stream, word(0)...) }), "PROTOCOL_ERROR"},
		{"WINDOW_UPDATE above the bound", post(nil, func(v *visitor2, stream uint32) { v.raw(frameWindowUpdate, 0, stream, word(maxWindow)...) }), "FLOW_CONTROL_ERROR"},
	}
	v := s.visit2()
	for _, tt := range tests {
		a := v.receive(tt.send(v))
		if a.end != "RST_STREAM "+tt.want {
			t.Errorf("%s: %+v, want RST_STREAM %s", tt.name, a, tt.want)
		}
		if a = v.receive(v.open(true, "GET", "/")); a.status != "200" {
			t.Fatalf("%s: then %+v", tt.name, a)
		}
	}
	until(t, "the last exchange's end", func() bool { return s.relay.Live() == 0 })
}

// Frames of a stream whose request is whole, and of one that is closed.
func TestStreamClosed2(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan bool, 9), make(chan bool)
	s := newStub(t, func(x *tunnel.Exchange) {
		entered <- true
		select {
		case <-finish:
			respond(x, 200, "ok")
		case <-aborted(x):
		}
	}, nil)
	v := s.visit2()
	for name, send := range map[string]func(stream uint32){
		"DATA":    func(stream uint32) { v.framer.WriteData(stream, true, nil) },
		"HEADERS": func(stream uint32) { v.trailers(stream, "a", "1") },
	} {
		stream := v.open(true, "GET", "/")
		await(t, entered, "the request")
		send(stream)
		if a := v.receive(stream); a.end != "RST_STREAM STREAM_CLOSED" {
			t.Errorf("%s behind the end: %+v", name, a)
		}
	}
	stream := v.open(false, "POST", "/")
	await(t, entered, "the request")
	v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
	v.framer.WriteData(stream, false, []byte("late"))
	if a := v.receive(stream); a.end != "RST_STREAM STREAM_CLOSED" {
		t.Errorf("DATA behind a reset: %+v", a)
	}
	close(finish)
	// These are no fault: they may have been under way.
	stream = v.open(true, "GET", "/")
	v.receive(stream)
	v.framer.WriteWindowUpdate(stream, 1)
	v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
	early := v.open(false, "POST", "/")
	if a := v.receive(early); a.end != "END_STREAM" {
		t.Errorf("an early answer: %+v", a)
	}
	if a := v.receive(early); a.end != "RST_STREAM NO_ERROR" {
		t.Errorf("behind an early answer: %+v, want RST_STREAM NO_ERROR", a)
	}
	v.framer.WriteData(early, false, []byte("late"))
	v.trailers(early, "a", "1")
	if a := v.receive(v.open(true, "GET", "/")); a.status != "200" {
		t.Errorf("at last: %+v", a)
	}
}

// aborted returns what is closed when the relay gives x up.
func aborted(x *tunnel.Exchange) <-chan struct{} {
	gone := make(chan struct{})
	x.OnAbort(func(*tunnel.Failure) { close(gone) })
	return gone
}

// What RFC 9113 has ignored is.
func TestIgnored2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		body, _ := io.ReadAll(x)
		respond(x, 200, string(body))
	}, nil)
	v := s.visit2()
	stream := v.next
	v.next += 2
	v.raw(framePriority, 0, stream, 0, 0, 0, 9, 9)
	v.raw(0x77, 0xff, stream, 1, 2, 3)
	v.raw(0x10, 0, 0, append(word(stream), "u=1"...)...) // PRIORITY_UPDATE (RFC 9218 7.1)
	v.raw(frameSettings, 0, 0, setting(0x7777, 7)...)
	block := v.block()
	v.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block[:3], PadLength: 5, Priority: http2.PriorityParam{StreamDep: 9, Weight: 1},
	})
	v.raw(frameContinuation, 0, stream)
	v.raw(frameContinuation, flagEndHeaders, stream, block[3:]...)
	v.framer.WriteDataPadded(stream, false, []byte("padded"), make([]byte, 200))
	v.framer.WriteData(stream, false, nil)
	v.framer.WriteDataPadded(stream, true, []byte("."), nil)
	if a := v.receive(stream); a.status != "200" || a.body != "padded." {
		t.Errorf("got %+v", a)
	}
}

// Trailers that are under way when the answer ends belong to nobody.
func TestLateTrailers2(t *testing.T) {
	t.Parallel()
	asked, finish := make(chan string, 9), make(chan bool, 3)
	defer close(finish)
	s := newStub(t, func(x *tunnel.Exchange) {
		asked <- string(x.Request().Target)
		if string(x.Request().Target) == "/early" {
			<-finish
		}
		respond(x, 200, "ok")
	}, nil)
	v := s.visit2()
	for range 3 {
		early := v.open(false, "POST", "/early")
		if got := await(t, asked, "the request"); got != "/early" {
			t.Fatalf("%s is asked for", got)
		}
		block := append([]byte(nil), v.encode("a", "1", "b", "2")...)
		v.raw(frameHeaders, flagEndStream, early, block[:2]...)
		finish <- true
		for ended := false; !ended; { // and nothing is sent: it would be inside the block
			frame, err := v.framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			h := frame.Header()
			ended = h.StreamID == early && h.Flags&flagEndStream != 0
		}
		c := s.conn2()
		until(t, "the request's end", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.running == 0
		})
		v.raw(frameContinuation, flagEndHeaders, early, block[2:]...)
		if a := v.receive(v.open(true, "GET", "/")); a.body != "ok" {
			t.Fatalf("then: %+v", a)
		}
		if got := await(t, asked, "the request"); got != "/" {
			t.Fatalf("%s is asked for", got)
		}
	}
}
