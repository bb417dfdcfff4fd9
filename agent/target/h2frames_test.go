package target

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
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
