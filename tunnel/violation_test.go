package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

// request is a REQ of the given seq; typ may add END.
func request(flags byte, seq uint32, r *Request) []byte {
	b := appendRequest(nil, seq, r)
	b[0] |= flags
	return b
}

// response is a RESP or INFO; flags may add END.
func response(flags byte, r *Response) []byte {
	b := appendResponse(nil, r)
	b[0] |= flags
	return b
}

// fields is a header that says how many fields follow, and those that do.
func fields(count uint64, rest ...string) []byte {
	b := binary.AppendUvarint(nil, count)
	for _, s := range rest {
		b = appendString(b, s)
	}
	return b
}

// What a relay may send on an exchange's stream, and what an agent makes of it.
func TestAgentReads(t *testing.T) {
	post := func(n int64) *Request { return &Request{Method: []byte("POST"), ContentLength: n} }
	body := func(flags byte, s string) []byte { return frame(typeData|flags, []byte(s)...) }
	reqHead := []byte{1, 0, 0, 0, 0, 0, 0, 0, 0} // all fields empty, but for the header
	tests := []struct {
		name   string
		frames []byte
		want   Cause  // of the request's end, or of the ERROR before the handler runs
		detail string // part of it
	}{
		{"whole", bytes.Join([][]byte{request(0, 1, post(4)), body(0, "ab"), body(frameEnd, "cd")}, nil), CauseNone, ""},
		{"length not known", bytes.Join([][]byte{request(0, 1, post(-1)), body(0, "ab"), body(0, ""), body(0, "cd"), body(frameEnd, "")}, nil), CauseNone, ""},
		{"trailers", bytes.Join([][]byte{request(0, 1, post(4)), body(0, "abcd"), frame(typeTrailers|frameEnd, fields(1, "a", "b")...)}, nil), CauseNone, ""},
		{"no body", request(frameEnd, 1, post(0)), CauseNone, ""},
		{"frame to be ignored first", append(frame(60|frameIgnore, 1, 2, 3), request(frameEnd, 1, post(0))...), CauseNone, ""},
		{"frame to be ignored in the body", bytes.Join([][]byte{request(0, 1, post(4)), body(0, "ab"), frame(60|frameIgnore, 1, 2, 3), body(frameEnd, "cd")}, nil), CauseNone, ""},

		{"unknown frame first", frame(60), Protocol, "unknown type 60"},
		{"unknown frame in the body", append(request(0, 1, post(4)), frame(60)...), Protocol, "unknown type 60"},
		{"DATA before REQ", body(0, "ab"), Protocol, "type 4 before REQ"},
		{"RESP before REQ", response(0, &Response{Status: 200}), Protocol, "type 2 before REQ"},
		{"STOP before REQ", frame(typeStop), Protocol, "unknown type 7"},
		{"REQ twice", append(request(0, 1, post(4)), request(0, 2, post(4))...), Protocol, "type 1 inside a body"},
		{"RESP in a request", append(request(0, 1, post(4)), response(0, &Response{Status: 200})...), Protocol, "type 2 inside a body"},
		{"STOP in a request", append(request(0, 1, post(4)), frame(typeStop)...), Protocol, "unknown type 7"},
		{"empty REQ", frame(typeRequest), Protocol, "REQ: frame ends early"},
		{"REQ with more", frame(typeRequest, append(reqHead, 0, 0)...), Protocol, "REQ: 1 bytes too many"},
		{"REQ above its bound", frameOf(typeRequest, maxHead+1), Protocol, "exceeds 98304"},
		{"REQ far above its bound", frameOf(typeRequest, 1<<24-1), Protocol, "exceeds 98304"},
		{"fields above their bound", frame(typeRequest, append(reqHead, fields(maxFields+1)...)...), Protocol, "REQ: frame ends early"},
		{"count of fields that lies", frame(typeRequest, append(reqHead, fields(2, "a", "b")...)...), Protocol, "REQ: frame ends early"},
		{"count of fields without end", frame(typeRequest, append(reqHead, bytes.Repeat([]byte{0xff}, 20)...)...), Protocol, "REQ: frame ends early"},
		{"string longer than its frame", frame(typeRequest, append(reqHead, 1, 0xff, 0xff, 0x03)...), Protocol, "REQ: frame ends early"},
		{"length that overflows", frame(typeRequest, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), Protocol, "REQ: frame ends early"},
		{"body longer than announced", bytes.Join([][]byte{request(0, 1, post(3)), body(frameEnd, "abcd")}, nil), Protocol, "4 bytes of body where 3 were announced"},
		{"body shorter than announced", bytes.Join([][]byte{request(0, 1, post(5)), body(frameEnd, "abcd")}, nil), Protocol, "4 bytes of body where 5 were announced"},
		{"REQ ends a body that was announced", request(frameEnd, 1, post(5)), Protocol, "0 bytes of body where 5 were announced"},
		{"TRAILERS without END", bytes.Join([][]byte{request(0, 1, post(-1)), frame(typeTrailers, fields(0)...)}, nil), Protocol, "TRAILERS without END"},
		{"TRAILERS that lie", bytes.Join([][]byte{request(0, 1, post(-1)), frame(typeTrailers|frameEnd, fields(2, "a", "b")...)}, nil), Protocol, "TRAILERS: frame ends early"},
		{"ERROR without a cause", append(request(0, 1, post(-1)), frame(typeError|frameEnd, 0, 0, 0, 0)...), Protocol, "ERROR: no cause"},
		{"ERROR too short", append(request(0, 1, post(-1)), frame(typeError|frameEnd, 0)...), Protocol, "ERROR: frame ends early"},
		{"ERROR above its bound", append(request(0, 1, post(-1)), frameOf(typeError|frameEnd, maxHead+1)...), Protocol, "exceeds 98304"},
	}
	for name, connect := range map[string]connector{"pipe": pipe, "tcp": connPair} {
		for _, tt := range tests {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				before := spent()
				ended := make(chan error, 1)
				p, agent, _ := rawRelay(t, connect, func(x *Exchange) {
					n, err := io.Copy(io.Discard, readerOf(x))
					if err == nil && x.Request().ContentLength >= 0 && n != x.Request().ContentLength {
						t.Errorf("%d bytes", n)
					}
					ended <- err
					if err == nil {
						x.SendResponse(&Response{Status: 204})
						x.End(nil)
					}
				})
				go p.put(muxOpen(2), muxBytes(2, tt.frames))
				typ, payload := p.next(2)
				var err error
				select {
				case err = <-ended:
				default: // the handler did not run
				}
				if tt.want == CauseNone {
					if typ != typeResponse || err != nil {
						t.Errorf("frame %d, error %v", typ, err)
					}
				} else if typ != typeError|frameEnd {
					t.Errorf("frame %d, want ERROR", typ)
				} else if f, derr := decodeError(payload); derr != nil || f.Cause != tt.want || !strings.Contains(f.Detail, tt.detail) {
					t.Errorf("ERROR %v, %v; want %v: %s", f, derr, tt.want, tt.detail)
				} else if err != nil {
					failure(t, err, tt.want)
				}
				if agent.Err() != nil {
					t.Errorf("it cost the session: %v", agent.Err())
				}
				before.below(t, 20, 4)
			})
		}
	}
}

// A relay's ERROR ends both halves, and nothing is said to it.
func TestRelaySendsError(t *testing.T) {
	for name, tt := range map[string]struct {
		frame []byte
		want  Cause
	}{
		"usual":           {appendError(nil, &Failure{Cause: VisitorGone, Detail: "left"}), VisitorGone},
		"a cause to come": {frame(typeError|frameEnd, 0xff, 0xff, 0, 0), 0xffff},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			p, agent, _ := rawRelay(t, connPair, func(x *Exchange) {
				_, err := io.ReadAll(readerOf(x))
				ended <- err
				ended <- x.SendResponse(&Response{Status: 204})
			})
			p.drain()
			p.put(muxOpen(2), muxBytes(2, request(0, 1, &Request{ContentLength: -1})), muxBytes(2, tt.frame))
			failure(t, within(t, "the request's end", ended), tt.want)
			failure(t, within(t, "the response's end", ended), tt.want)
			if agent.Err() != nil {
				t.Errorf("it cost the session: %v", agent.Err())
			}
		})
	}
}

// What an agent may send on an exchange's stream, and what a relay makes of
// it: an answer is whole, or there is a cause.
func TestRelayReads(t *testing.T) {
	ok := func(n int64) *Response { return &Response{Status: 200, ContentLength: n} }
	body := func(flags byte, s string) []byte { return frame(typeData|flags, []byte(s)...) }
	info := response(0, &Response{Status: 103})
	tests := []struct {
		name   string
		frames []byte
		want   Cause
		detail string
	}{
		{"whole", append(response(0, ok(4)), body(frameEnd, "abcd")...), CauseNone, ""},
		{"no body", response(frameEnd, ok(0)), CauseNone, ""},
		{"INFO first", bytes.Join([][]byte{info, info, response(frameEnd, ok(0))}, nil), CauseNone, ""},
		{"frame to be ignored", bytes.Join([][]byte{frame(60|frameIgnore, 1), response(0, ok(1)), frame(60|frameIgnore, 1), body(frameEnd, "a")}, nil), CauseNone, ""},
		{"empty frames", bytes.Join([][]byte{response(0, ok(-1)), bytes.Repeat(body(0, ""), 10_000), body(frameEnd, "")}, nil), CauseNone, ""},

		{"DATA before RESP", body(0, "ab"), Protocol, "type 4 before RESP"},
		{"TRAILERS before RESP", frame(typeTrailers|frameEnd, 0), Protocol, "type 5 before RESP"},
		{"REQ", request(0, 1, &Request{}), Protocol, "unknown type 1"},
		{"unknown frame", frame(60), Protocol, "unknown type 60"},
		{"RESP twice", append(response(0, ok(4)), response(0, ok(4))...), Protocol, "type 2 inside a body"},
		{"INFO in the body", append(response(0, ok(4)), info...), Protocol, "type 3 inside a body"},
		{"RESP of an interim status", frame(typeResponse, 103, 0, 0, 0, 0), Protocol, "RESP: status 103"},
		{"INFO of a final status", frame(typeInterim, 0xc8, 1, 0, 0, 0, 0), Protocol, "RESP: status 200"},
		{"status below 100", frame(typeResponse, 99, 0, 0, 0, 0), Protocol, "RESP: status 99"},
		{"status above 999", frame(typeResponse, 0xe8, 7, 0, 0, 0, 0), Protocol, "RESP: frame ends early"},
		{"empty RESP", frame(typeResponse), Protocol, "RESP: frame ends early"},
		{"RESP above its bound", frameOf(typeResponse, 1<<24-1), Protocol, "exceeds 98304"},
		{"count of fields that lies", frame(typeResponse, append([]byte{0xc8, 1, 0, 0, 0}, fields(maxFields, "a", "b")...)...), Protocol, "RESP: frame ends early"},
		{"body longer than announced", append(response(0, ok(3)), body(0, "abcd")...), Protocol, "4 bytes of body where 3 were announced"},
		{"body shorter than announced", append(response(0, ok(5)), body(frameEnd, "abcd")...), Protocol, "4 bytes of body where 5 were announced"},
		{"trailers end it early", append(response(0, ok(5)), frame(typeTrailers|frameEnd, 0)...), Protocol, "0 bytes of body where 5 were announced"},
		{"TRAILERS without END", append(response(0, ok(-1)), frame(typeTrailers, 0)...), Protocol, "TRAILERS without END"},
		{"TRAILERS above their bound", append(response(0, ok(-1)), frameOf(typeTrailers|frameEnd, 1<<20)...), Protocol, "exceeds 98304"},
		{"ERROR before RESP", appendError(nil, &Failure{Cause: Draining, NotProcessed: true}), Draining, ""},
		{"ERROR in the body", append(response(0, ok(5)), appendError(nil, &Failure{Cause: TargetIncomplete})...), TargetIncomplete, ""},
		{"ERROR without a cause", frame(typeError|frameEnd, 0, 0, 0, 0), Protocol, "ERROR: no cause"},
		{"ERROR that says too much", frame(typeError|frameEnd, append([]byte{0, 1, 0}, appendString(nil, strings.Repeat("x", 90_000))...)...), TargetRefused, strings.Repeat("x", maxDetail)},
		{"FIN before RESP", nil, LinkLost, "without END"},
		{"FIN in the body", append(response(0, ok(-1)), body(0, "abcd")...), LinkLost, "without END"},
		{"FIN in a frame", append(response(0, ok(-1)), frameOf(typeData|frameEnd, 4)...), LinkLost, "without END"},
		{"FIN in a header", append(response(0, ok(-1)), 0x84, 0), LinkLost, "without END"},
	}
	for name, connect := range map[string]connector{"pipe": pipe, "tcp": connPair} {
		for _, tt := range tests {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				before := spent()
				p, relay, _ := rawAgent(t, connect)
				p.drain()
				x := begin(t, relay)
				go p.put(muxBytes(2, tt.frames), muxFrame(muxWindowUpdate, muxFIN, 2, 0))
				n, err := receive(x)
				if tt.want == CauseNone {
					if err != nil {
						t.Errorf("error %v after %d bytes", err, n)
					}
				} else {
					f := failure(t, err, tt.want)
					if !strings.Contains(f.Detail, tt.detail) || len(f.Detail) > maxDetail {
						t.Errorf("detail %q, want %q", f.Detail, tt.detail)
					}
					if !errors.Is(x.Err(), f) {
						t.Errorf("Err is %v", x.Err())
					}
					if _, err := x.Data(); err == nil || err == io.EOF {
						t.Errorf("Data after the failure: %v", err)
					}
				}
				x.Close()
				if relay.Err() != nil {
					t.Errorf("it cost the session: %v", relay.Err())
				}
				before.below(t, 20, 4)
			})
		}
	}
}

// receive reads a response to its end.
func receive(x *Exchange) (n int64, err error) {
	for {
		r, err := x.ReceiveResponse()
		if err != nil {
			return 0, err
		}
		if !r.Interim() {
			return io.Copy(io.Discard, readerOf(x))
		}
	}
}

// A RESET names a stream and a seq, so that only what it means is ended.
func TestResetFindsItsExchange(t *testing.T) {
	reset := func(stream, seq uint32) []byte {
		return muxBytes(1, appendReset(nil, reset{stream, seq, &Failure{Cause: VisitorGone, Detail: "left"}}))
	}
	get := &Request{Method: []byte("GET")}
	tests := []struct {
		name   string
		frames [][]byte
		gone   bool
	}{
		{"of the exchange", [][]byte{muxOpen(2), muxBytes(2, request(frameEnd, 1, get)), reset(2, 1)}, true},
		{"of one before", [][]byte{muxOpen(2), muxBytes(2, request(frameEnd, 7, get)), reset(2, 6)}, false},
		{"of one to come", [][]byte{muxOpen(2), muxBytes(2, request(frameEnd, 1, get)), reset(2, 2)}, false},
		{"of a stream that is not there", [][]byte{muxOpen(2), muxBytes(2, request(frameEnd, 1, get)), reset(8, 1), reset(0, 1)}, false},
		{"before its REQ", [][]byte{muxOpen(2), reset(2, 1), muxBytes(2, request(frameEnd, 1, get))}, true},
		{"before its stream", [][]byte{reset(2, 1), muxOpen(2), muxBytes(2, request(frameEnd, 1, get))}, true},
		{"of one before, before its stream", [][]byte{reset(2, 1), muxOpen(2), muxBytes(2, request(frameEnd, 2, get))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gone := make(chan *Failure, 1)
			ran := make(chan bool, 1)
			p, agent, _ := rawRelay(t, connPair, func(x *Exchange) {
				ran <- true
				x.OnAbort(func(f *Failure) { gone <- f })
				if _, err := io.ReadAll(readerOf(x)); err == nil && tt.gone {
					f := <-gone
					gone <- f
				}
				x.SendResponse(&Response{Status: 204})
				x.End(nil)
			})
			p.put(tt.frames...)
			if !tt.gone {
				if typ, _ := p.next(2); typ != typeResponse || agent.Err() != nil {
					t.Errorf("frame %d, session ended %v", typ, agent.Err())
				}
				return
			}
			// The agent ends the stream and says nothing more.
			p.put(muxBytes(1, frame(typePing)))
			if typ, _ := p.next(1); typ != typePong {
				t.Errorf("frame %d, want PONG", typ)
			}
			l := only(t, agent)
			until(t, "end of the exchange", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.exchanges[2] != nil && l.exchanges[2].failed() != nil
			})
			select {
			case <-ran:
				if f := within(t, "OnAbort", gone); f.Cause != VisitorGone || f.Detail != "left" {
					t.Errorf("failure %+v", f)
				}
			default: // the REQ was not taken
			}
		})
	}
}

// A RESET that comes when its exchange has ended does not hit the next one on
// the stream.
func TestLateResetHitsNothing(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	for seq := range uint32(3) {
		x := begin(t, relay)
		p.put(muxBytes(2, response(frameEnd, &Response{Status: 204})))
		if id := x.stream.StreamID(); id != 2 {
			t.Fatalf("stream %d, want the first again", id)
		}
		if _, err := receive(x); err != nil {
			t.Fatalf("exchange %d: %v", seq, err)
		}
		x.Close()
		x.Abort(&Failure{Cause: VisitorGone}) // as late
		p.put(muxBytes(1, appendReset(nil, reset{2, seq + 1, &Failure{Cause: Internal}})), muxBytes(1, frame(typePing)))
		if typ, _ := p.next(1); typ != typePong {
			t.Errorf("frame %d, want PONG", typ)
		}
	}
	// Of the one that is open it does.
	x := begin(t, relay)
	defer x.Close()
	p.put(muxBytes(1, appendReset(nil, reset{2, 4, &Failure{Cause: Internal}})))
	_, err := x.ReceiveResponse()
	if f := failure(t, err, Internal); f.By != Agent {
		t.Errorf("failure %+v", f)
	}
	if _, err := relay.Open(context.Background()); err != nil {
		t.Error(err)
	}
}
