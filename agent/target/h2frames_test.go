package target

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// A framed is a connection of a target that speaks HTTP/2 frame by frame.
type framed struct {
	*http2.Framer
	conn net.Conn
}

// framesH2 is a target whose answer gets each stream that is opened.
func framesH2(t testing.TB, answer func(f *framed, stream uint32), settings ...http2.Setting) *server {
	return serve(t, func(c net.Conn) {
		io.CopyN(io.Discard, c, int64(len(http2.ClientPreface)))
		f := &framed{http2.NewFramer(c, c), c}
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.WriteSettings(settings...)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					f.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				answer(f, frame.StreamID)
			}
		}
	})
}

// fields sends a header block: names and values in turn.
func (f *framed) fields(stream uint32, end bool, fields ...string) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}) // which no later block refers to
	}
	p := block.Bytes()
	first := p[:min(len(p), 16<<10)]
	p = p[len(first):]
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(p) == 0})
	for len(p) > 0 {
		part := p[:min(len(p), 16<<10)]
		p = p[len(part):]
		f.WriteContinuation(stream, len(p) == 0, part)
	}
}

// many makes n fields, each of its own name.
func many(n int, value string) (fields []string) {
	for i := range n {
		fields = append(fields, fmt.Sprint("x-", i), value)
	}
	return fields
}

// What net/http lets pass of a response that HTTP/1.1 does not know is the
// target's fault, or is cleaned; never the agent's.
func TestH2Answers(t *testing.T) {
	head := func(fields ...string) func(*framed, uint32) {
		return func(f *framed, stream uint32) { f.fields(stream, true, fields...) }
	}
	body := func(status, text string) func(*framed, uint32) {
		return func(f *framed, stream uint32) {
			f.fields(stream, false, ":status", status)
			f.WriteData(stream, true, []byte(text))
		}
	}
	large := strings.Repeat("y", 1000)
	for _, test := range []struct {
		name   string
		answer func(*framed, uint32)
		cause  tunnel.Cause // none if it is no failure
		status int
		field  string // of the answer's head
	}{
		{"101", func(f *framed, stream uint32) {
			f.fields(stream, false, ":status", "101")
			f.fields(stream, true, ":status", "200")
		}, tunnel.UpgradeFailed, 0, ""},
		{"status 99", head(":status", "99"), tunnel.TargetBadResponse, 0, ""},
		{"status 600", head(":status", "600"), tunnel.TargetBadResponse, 0, ""},
		{"status 1000", head(":status", "1000"), tunnel.TargetBadResponse, 0, ""},
		{"status 599", head(":status", "599"), 0, 599, ""},
		{"status abc", head(":status", "abc"), tunnel.TargetBadResponse, 0, ""},
		{"no status", head("a", "b"), tunnel.TargetBadResponse, 0, ""},
		{"two lengths", head(":status", "200", "content-length", "0", "content-length", "5"), tunnel.TargetBadResponse, 0, ""},
		{"length abc", head(":status", "200", "content-length", "abc"), tunnel.TargetBadResponse, 0, ""},
		{"length without a body", head(":status", "200", "content-length", "5"), tunnel.TargetIncomplete, 0, ""},
		{"white space around a value", head(":status", "200", "x-a", " \tb c\t "), 0, 200, "X-A: b c"},
		{"204 with a body", body("204", "stray"), 0, 204, ""},
		{"304 with a body", body("304", "stray"), 0, 304, ""},
		{"1000 fields", head(append([]string{":status", "200"}, many(1000, "")...)...), 0, 200, "X-999: "},
		{"1001 fields", head(append([]string{":status", "200"}, many(1001, "")...)...), tunnel.TargetHeadTooLarge, 0, ""},
		{"5000 fields", head(append([]string{":status", "200"}, many(5000, "")...)...), tunnel.TargetHeadTooLarge, 0, ""},
		{"a head of 100 kB", head(append([]string{":status", "200"}, many(100, large)...)...), tunnel.TargetHeadTooLarge, 0, ""},
		{"a head of 2 MB", head(append([]string{":status", "200"}, many(2000, large)...)...), tunnel.TargetHeadTooLarge, 0, ""},
		{"an interim head of 100 kB", func(f *framed, stream uint32) {
			f.fields(stream, false, append([]string{":status", "103"}, many(100, large)...)...)
			f.fields(stream, true, ":status", "200")
		}, tunnel.TargetHeadTooLarge, 0, ""},
		{"100 kB of announced trailers", head(":status", "200", "trailer", "x"+strings.Repeat("y", 100_000)), tunnel.TargetHeadTooLarge, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, "h2c://"+framesH2(t, test.answer).addr, Config{HeaderTimeout: limit})
			for range 2 {
				a := r.get("/")
				if test.cause != 0 {
					if f := r.next().failure; a.err == nil {
						failed(t, a, test.cause)
					} else if cut(t, a, test.cause); f == nil || f.Cause != test.cause {
						t.Errorf("Serve returned %v", f)
					}
					continue
				}
				if a.err != nil || a.status != test.status || a.body != "" || test.field != "" && !a.has(test.field) {
					t.Fatalf("%+v", a)
				}
				if o := r.next(); o.failure != nil {
					t.Errorf("Serve returned %+v", o)
				}
			}
		})
	}
}

// Trailers that the tunnel does not carry cut the body that they follow.
func TestH2LargeTrailers(t *testing.T) {
	s := framesH2(t, func(f *framed, stream uint32) {
		f.fields(stream, false, ":status", "200")
		f.WriteData(stream, false, []byte("hello"))
		f.fields(stream, true, many(100, strings.Repeat("y", 1000))...)
	})
	r := newRig(t, "h2c://"+s.addr, Config{})
	a := r.get("/")
	cut(t, a, tunnel.TargetHeadTooLarge)
	if o := r.next(); o.failure == nil || o.failure.Cause != tunnel.TargetHeadTooLarge {
		t.Errorf("Serve returned %+v", o)
	}
}

// A call that is open both ways ends at once when the target gives it up, though
// the visitor, who waits for an answer, sends nothing more.
func TestH2OpenBothWays(t *testing.T) {
	for name, end := range map[string]func(*framed, uint32){
		"RST_STREAM": func(f *framed, stream uint32) { f.WriteRSTStream(stream, http2.ErrCodeInternal) },
		"refused":    func(f *framed, stream uint32) { f.WriteRSTStream(stream, http2.ErrCodeRefusedStream) },
		"GOAWAY":     func(f *framed, _ uint32) { f.WriteGoAway(0, http2.ErrCodeNo, nil) },
		"FIN":        func(f *framed, _ uint32) { f.conn.Close() },
		"RST":        func(f *framed, _ uint32) { reset(f.conn) },
	} {
		for _, begun := range []bool{false, true} {
			if begun && name == "GOAWAY" {
				continue // it has begun, so it is not the one that is given up
			}
			t.Run(fmt.Sprint(name, " begun=", begun), func(t *testing.T) {
				var got atomic.Int32
				seen := make(chan bool)
				s := framesH2(t, func(f *framed, stream uint32) {
					got.Add(1)
					if begun {
						f.fields(stream, false, ":status", "200")
						f.WriteData(stream, false, []byte("hello"))
						<-seen
					}
					end(f, stream)
				})
				r := newRig(t, "h2c://"+s.addr, Config{HeaderTimeout: limit})
				x := r.open()
				defer x.Close()
				hung := time.AfterFunc(limit, func() { x.Abort(tunnel.Fail(tunnel.Internal, nil)) })
				defer hung.Stop()
				x.SendRequest(request("POST", "/", "Transfer-Encoding: chunked"))
				io.WriteString(x, "question")
				x.Flush()
				a := receiveHead(x)
				close(seen)
				if a.err == nil {
					receiveBody(x, a)
				}
				want := tunnel.TargetClosed
				if begun {
					want = tunnel.TargetIncomplete
					cut(t, a, want)
				} else {
					failed(t, a, want)
				}
				// The relay does so when it has the answer.
				x.Abort(tunnel.Fail(tunnel.VisitorIncomplete, nil))
				if o := r.next(); o.failure == nil || o.failure.Cause != want || got.Load() != 1 {
					t.Errorf("Serve returned %+v after %d requests", o, got.Load())
				}
			})
		}
	}
}

// A request without a body ends, whatever trailers it announces.
func TestH2TrailersOfNoBody(t *testing.T) {
	addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
	})
	r := newRig(t, "h2c://"+addr, Config{HeaderTimeout: limit})
	if a := r.ask(request("GET", "/", "Trailer: X-T"), ""); a.err != nil || a.status != 200 {
		t.Errorf("%+v", a)
	}
}

// What the target says that it does not take is the visitor's to shorten.
func TestH2RequestTooLarge(t *testing.T) {
	var got atomic.Int32
	s := framesH2(t, func(f *framed, stream uint32) {
		got.Add(1)
		f.fields(stream, true, ":status", "204")
	}, http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 8 << 10})
	r := newRig(t, "h2c://"+s.addr, Config{})
	if a := r.get("/"); a.err != nil || a.status != 204 {
		t.Fatalf("%+v", a)
	}
	r.next()
	failed(t, r.ask(request("GET", "/", "Cookie: "+strings.Repeat("x", 10<<10)), ""), tunnel.RequestHeadTooLarge)
	if n := got.Load(); n != 1 {
		t.Errorf("the target saw %d requests, want 1", n)
	}
}

// A brokenConn takes no byte.
type brokenConn struct{ net.Conn }

func (brokenConn) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

// A connection that ends before HTTP/2 has begun on it was closed by the target.
func TestH2EndsAtOnce(t *testing.T) {
	s := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	r := newRig(t, "h2c://"+s.addr, Config{})
	dial := r.target.dialer.connect
	r.target.dialer.connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return brokenConn{c}, nil
	}
	failed(t, r.get("/"), tunnel.TargetClosed)
}
