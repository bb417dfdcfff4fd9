package edge

import (
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

// Floods end a connection, and soon: each sends what an honest visitor would
// not, without end.
func TestFloods2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		if string(x.Request().Method) == "POST" {
			<-aborted(x)
			return
		}
		respond(x, 200, "")
	}, nil)
	rapid := func(v *visitor2, method string) func() {
		return func() {
			v.again(method)
			v.framer.WriteRSTStream(v.next-2, http2.ErrCodeCancel)
		}
	}
	floods := map[string]func(v *visitor2) (next func()){
		"PING":                      func(v *visitor2) func() { return func() { v.framer.WritePing(false, [8]byte{}) } },
		"acknowledgements of PING":  func(v *visitor2) func() { return func() { v.framer.WritePing(true, [8]byte{}) } },
		"SETTINGS":                  func(v *visitor2) func() { return func() { v.framer.WriteSettings() } },
		"acknowledgements":          func(v *visitor2) func() { return func() { v.framer.WriteSettingsAck() } },
		"PRIORITY":                  func(v *visitor2) func() { return func() { v.raw(framePriority, 0, 1, 0, 0, 0, 0, 0) } },
		"unknown frames":            func(v *visitor2) func() { return func() { v.raw(0x77, 0, 1) } },
		"WINDOW_UPDATE of 1":        func(v *visitor2) func() { return func() { v.framer.WriteWindowUpdate(0, 1) } },
		"streams reset at once":     func(v *visitor2) func() { return rapid(v, "GET") },
		"streams reset, held":       func(v *visitor2) func() { return rapid(v, "POST") },
		"streams above their bound": func(v *visitor2) func() { return func() { v.again("POST") } },
		"malformed requests":        func(v *visitor2) func() { return func() { v.again("GET", "A", "1") } },
		"empty DATA": func(v *visitor2) func() {
			stream := v.open(false, "POST", "/")
			return func() { v.framer.WriteData(stream, false, nil) }
		},
		"empty padded DATA": func(v *visitor2) func() {
			stream := v.open(false, "POST", "/")
			return func() { v.framer.WriteDataPadded(stream, false, nil, make([]byte, 9)) }
		},
		"RST_STREAM of a closed stream": func(v *visitor2) func() {
			stream := v.open(true, "GET", "/")
			v.receive(stream)
			return func() { v.framer.WriteRSTStream(stream, http2.ErrCodeCancel) }
		},
		"WINDOW_UPDATE of a closed stream": func(v *visitor2) func() {
			stream := v.open(true, "GET", "/")
			v.receive(stream)
			return func() { v.framer.WriteWindowUpdate(stream, 1) }
		},
		"DATA of a closed stream": func(v *visitor2) func() {
			stream := v.open(true, "GET", "/")
			v.receive(stream)
			return func() { v.raw(frameData, 0, stream) }
		},
		"GOAWAY": func(v *visitor2) func() {
			v.open(true, "POST", "/")
			return func() { v.framer.WriteGoAway(0, http2.ErrCodeNo, nil) }
		},
		"empty CONTINUATION": func(v *visitor2) func() {
			v.raw(frameHeaders, 0, 1)
			return func() { v.raw(frameContinuation, 0, 1) }
		},
		"CONTINUATION without end": func(v *visitor2) func() {
			v.raw(frameHeaders, 0, 1)
			return func() { v.raw(frameContinuation, 0, 1, make([]byte, 8<<10)...) }
		},
		"small CONTINUATION": func(v *visitor2) func() {
			v.raw(frameHeaders, 0, 1)
			return func() { v.raw(frameContinuation, 0, 1, 0) }
		},
		"a small block that unpacks to much": func(v *visitor2) func() {
			v.openRaw(true, ":method", "GET", ":scheme", "http", ":authority", "x.test", ":path", "/", "a", strings.Repeat("v", 3000))
			bomb := v.block(strings.Split(strings.Repeat("a,"+strings.Repeat("v", 3000)+",", 40), ",")[:80]...)
			sent := false
			return func() {
				if !sent {
					v.raw(frameHeaders, flagEndHeaders|flagEndStream, 3, bomb...)
				}
				sent = true
			}
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := s.visit2()
			next := flood(v)
			stop, stopped := make(chan bool), make(chan bool)
			go func() {
				defer close(stopped)
				for range 4 * maxCalm {
					select {
					case <-stop:
						return
					default:
						next() // fails in the end
					}
				}
			}()
			if a := v.receiveQuietly(); a != "GOAWAY ENHANCE_YOUR_CALM" {
				t.Errorf("the connection ended with %q", a)
			}
			close(stop)
			v.Close()
			<-stopped
		})
	}
}

// again opens a stream whose head has come before, so that it is small. It may
// fail: the connection may have ended.
func (v *visitor2) again(method string, fields ...string) {
	fields = append([]string{":method", method, ":scheme", "http", ":authority", "x.test", ":path", "/"}, fields...)
	v.raw(frameHeaders, flagEndHeaders|flagEndStream, v.next, v.encode(fields...)...)
	v.next += 2
}

// receiveQuietly reads to the connection's end and writes nothing. It returns
// how it ended.
func (v *visitor2) receiveQuietly() string {
	for {
		frame, err := v.framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		if f, ok := frame.(*http2.GoAwayFrame); ok && f.ErrCode != http2.ErrCodeNo {
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}

// A visitor who never reads cannot have much queued.
func TestUnreadFrames2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	ours, theirs := net.Pipe()
	defer ours.Close()
	s.wg.Go(func() { s.Serve2(theirs, theirs, nil, nil) })
	io.WriteString(ours, preface2+string(appendSettings(nil)))
	c := s.conn2()
	c.mu.Lock()
	c.calm *= 100 // that is another bound
	c.mu.Unlock()
	ping := append(appendFrameHeader(nil, framePing, 0, 0, 8), 1, 2, 3, 4, 5, 6, 7, 8)
	// A batch under way, what is queued, and what was read at once.
	const most = 2*maxQueued + lingerBytes + nbio.Large
	n := 0
	for ; n < 10*most; n += len(ping) {
		if _, err := ours.Write(ping); err != nil {
			break
		}
	}
	if n > most {
		t.Errorf("%d bytes of PING were taken", n)
	}
}

// Streams above the bound are refused, so that the visitor may try again.
func TestRefused2(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		g.hold()
		respond(x, 200, "ok")
	}, nil)
	v := s.visit2()
	var streams []uint32
	for range maxStreams {
		streams = append(streams, v.open(true, "GET", "/"))
	}
	if a := v.receive(v.open(true, "GET", "/")); a.end != "RST_STREAM REFUSED_STREAM" {
		t.Errorf("one too many: %+v", a)
	}
	// One that leaves makes room, but its request is still being served: not
	// without bound.
	for range maxStreams {
		v.framer.WriteRSTStream(streams[0], http2.ErrCodeCancel)
		streams = append(streams[1:], v.open(true, "GET", "/"))
	}
	c := s.all(nil)[0].(*conn2)
	until(t, "the bound", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running > maxServing {
			t.Errorf("%d requests are served", c.running)
		}
		return c.last == v.next-2
	})
	g.open()
	until(t, "the last request's end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.running == 0
	})
	if a := v.receive(v.open(true, "GET", "/")); a.body != "ok" {
		t.Errorf("then: %+v", a)
	}
}

// Heads as large as may be, in whatever pieces they come.
func TestLargeHeads2(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("v", 1000)
	s := newStub(t, func(x *tunnel.Exchange) {
		var fields []string
		for range 50 {
			fields = append(fields, "X-A", value)
		}
		respond(x, 200, string(x.Request().Header.Get("cookie")), fields...)
	}, nil)
	v := s.visit2()
	var fields, crumbs []string
	for range 2 * http1.MaxFields { // they are one field
		fields, crumbs = append(fields, "cookie", "a="+value[:100]), append(crumbs, "a="+value[:100])
	}
	for range 3 {
		a := v.receive(v.open(true, "GET", "/", fields...))
		if len(a.fields) != 50 || a.get("x-a") != value || a.body != strings.Join(crumbs, "; ") {
			t.Errorf("got %d fields, and %d bytes of cookies", len(a.fields), len(a.body))
		}
	}
	block := append([]byte(nil), v.block(fields...)...)
	stream := v.next
	v.raw(frameHeaders, flagEndStream, stream, block[:1]...)
	for ; len(block) > 1; block = block[min(len(block)-1, 1<<10):] {
		piece := block[1:][:min(len(block)-1, 1<<10)]
		flags := uint8(0)
		if len(piece) == len(block)-1 {
			flags = flagEndHeaders
		}
		v.raw(frameContinuation, flags, stream, piece...)
	}
	if a := v.receive(stream); a.body != strings.Join(crumbs, "; ") {
		t.Errorf("in pieces: %+v", a)
	}
}
