package tunnel

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
)

// exampleRequest and exampleResponse have all there is to a head.
func exampleRequest() *Request {
	r := &Request{
		ID: []byte("id"), Tunnel: 7, Flags: RequestBody | RequestTrailers, Method: []byte("POST"), Target: []byte("/a?b"),
		Authority: []byte("x.localhost:7070"), Client: []byte("[::1]:1"), ContentLength: 1 << 40,
	}
	r.Header.Add("Host", "x.localhost:7070")
	r.Header.Add("empty", "")
	r.Header.Add("Host", "\x00\xff")
	return r
}

func exampleResponse(status int) *Response {
	r := &Response{Status: status, Reason: []byte("OK"), Flags: ResponseAgent, ContentLength: -1}
	r.Header.Add("Set-Cookie", "a=b")
	r.Header.Add("Set-Cookie", "c=d")
	return r
}

// What decodes is bounded and no more than came; encoded again, in no more
// bytes, it decodes to the same.
func FuzzFrames(f *testing.F) {
	add := func(b []byte) { f.Add(b[0], b[frameHeaderLen:]) }
	add(appendRequest(nil, 1<<32-1, exampleRequest()))
	add(appendRequest(nil, 0, &Request{ContentLength: -1}))
	add(appendResponse(nil, exampleResponse(999)))
	add(appendResponse(nil, exampleResponse(103)))
	add(appendTrailers(nil, exampleRequest().Header))
	add(appendError(nil, &Failure{Cause: Draining, NotProcessed: true, AfterHead: true, Detail: "gone"}))
	add(appendReset(nil, reset{1<<32 - 1, 7, &Failure{Cause: VisitorGone}}))
	add(appendCredit(nil, credit{1<<32 - 1, 7, 1<<63 - 1}))
	f.Fuzz(func(t *testing.T, typ byte, p []byte) {
		var first, second any
		var again []byte
		decode := func(p []byte) (any, error) {
			switch typ & frameType {
			case typeRequest:
				var r Request
				seq, err := decodeRequest(p, &r)
				again = appendRequest(nil, seq, &r)
				boundedHead(t, r.Header, r.ContentLength, err)
				return r, err
			case typeResponse, typeInterim:
				var r Response
				err := decodeResponse(p, typ&frameType == typeInterim, &r)
				if err == nil && (r.Status < 100 || r.Status > 999) {
					t.Errorf("status %d", r.Status)
				}
				again = appendResponse(nil, &r)
				boundedHead(t, r.Header, r.ContentLength, err)
				return r, err
			case typeTrailers:
				h, err := decodeTrailers(p, nil)
				again = appendTrailers(nil, h)
				boundedHead(t, h, 0, err)
				return h, err
			case typeError:
				e, err := decodeError(p)
				again = appendError(nil, e)
				if err == nil && (e.Cause == CauseNone || len(e.Detail) > maxDetail) {
					t.Errorf("failure %+v", e)
				}
				return e, err
			case typeReset:
				r, err := decodeReset(p)
				again = appendReset(nil, r)
				if err == nil && (r.failure.Cause == CauseNone || len(r.failure.Detail) > maxDetail) {
					t.Errorf("failure %+v", r.failure)
				}
				return r, err
			case typeCredit:
				c, err := decodeCredit(p)
				again = appendCredit(nil, c)
				if err == nil && c.bytes < 0 {
					t.Errorf("credit %+v", c)
				}
				return c, err
			}
			return nil, io.EOF
		}
		first, err := decode(bytes.Clone(p))
		if err != nil {
			return
		}
		head, payload := again[:frameHeaderLen], again[frameHeaderLen:]
		if n := int(head[1])<<16 | int(head[2])<<8 | int(head[3]); n != len(payload)&(1<<24-1) || len(payload) > len(p) {
			t.Errorf("%d bytes are encoded in %d, and %d announced", len(p), len(payload), n)
		}
		second, err = decode(payload)
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("decoded %+v, then %+v, %v", first, second, err)
		}
	})
}

func boundedHead(t *testing.T, h Header, length int64, err error) {
	if len(h) > maxFields || err == nil && length < -1 {
		t.Errorf("%d fields, a body of %d bytes", len(h), length)
	}
}

// A readConn is a connection of which only reads matter.
type readConn struct {
	net.Conn // nil
	r        io.Reader
}

func (c readConn) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c readConn) SetDeadline(time.Time) error { return nil }

// A preface is taken whole, and not one byte behind it; what a Hello says comes
// back from what it is encoded to.
func FuzzPreface(f *testing.F) {
	f.Add(preface(1, 1, 1, `{"token":"t"}`))
	f.Add(preface(1, 200, 2, "{}\r\n\r\nmore"))
	f.Add(preface(2, 1, 1, "{}"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := ReadHello(readConn{r: r})
		taken := len(b) - r.Len()
		if taken > prefaceLen+maxPreface {
			t.Fatalf("%d bytes are taken", taken)
		}
		if len(b) >= PeekLen && IsPreface(b) == errors.Is(err, ErrNotRelay) && string(b[:4]) != magic {
			t.Errorf("IsPreface and ReadHello differ: %v", err)
		}
		if err != nil {
			return
		}
		if want := prefaceLen + int(muxLength(b)); taken != want {
			t.Errorf("%d bytes are taken, want %d", taken, want)
		}
		h.Lowest, h.Highest = Version, Version
		again, err := appendHello(h)
		if err != nil {
			return // JSON may grow by escapes
		}
		h2, err := ReadHello(readConn{r: bytes.NewReader(again)})
		if err != nil || !reflect.DeepEqual(normal(h), normal(h2)) {
			t.Errorf("hello %+v, then %+v, %v", h, h2, err)
		}
	})
}

// normal leaves no difference between an empty list and none.
func normal(h *Hello) Hello {
	n := *h
	n.Capabilities = append([]string(nil), n.Capabilities...)
	return n
}

// What decodes as a message says the same when it is encoded again; a Bind
// that asks for what is not known is refused, not taken for less.
func FuzzMessage(f *testing.F) {
	for _, m := range []Message{
		&Bind{ID: 1, Kind: "http", Name: "x", Seed: "s", Holder: "h", Takeover: true}, &Bound{ID: 1, URL: "http://x.localhost"},
		&BindError{Code: RejectTaken}, &Unbind{Tunnel: 1}, &Drain{DeadlineMS: 1}, &Notice{Level: "info"}, &TargetHealth{Up: true},
	} {
		b, err := appendMessage(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[0], b[frameHeaderLen:])
	}
	f.Add(byte(typeBind), []byte(`{"gate":1}`))
	f.Add(byte(typeBind), []byte(`{}{"gate":1}`))
	f.Fuzz(func(t *testing.T, typ byte, p []byte) {
		m, err := decodeMessage(typ, p)
		if err != nil || m == nil {
			return
		}
		if m.frame() != typ {
			t.Errorf("frame %d decodes as %T", typ, m)
		}
		if typ == typeBind {
			var all map[string]any
			if err := json.Unmarshal(p, &all); err != nil {
				t.Fatal(err)
			}
			if len(all) > reflect.TypeFor[Bind]().NumField()*2 { // names match in any case
				t.Errorf("%d keys are taken", len(all))
			}
		}
		b, err := appendMessage(nil, m)
		if err != nil {
			return // a text that grows by escapes, a year that JSON has no form for
		}
		again, err := decodeMessage(typ, b[frameHeaderLen:])
		if err != nil {
			t.Fatalf("%q decodes as %+v, and that not again: %v", p, m, err)
		}
		c, err := appendMessage(nil, again)
		if err != nil || !bytes.Equal(b, c) {
			t.Errorf("%s, then %s, %v", b, c, err)
		}
	})
}

// The guard says the same however the bytes arrive.
func FuzzGuard(f *testing.F) {
	f.Add(append(muxBytes(1, []byte("body")), muxOpen(2)...), []byte{1, 2, 3})
	f.Add(muxFrame(muxPing, muxSYN, 0, 0), []byte{11})
	f.Add(muxFrame(muxData, 0, 1, 1<<30), []byte{12})
	f.Add(bytes.Repeat(muxOpen(1), 30), []byte{5, 5, 5})
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		const now = 1
		full := guard{bucket: bucket{tokens: 20, filled: now}} // few, so that floods are short
		want := full.feed(b, now)
		split := guard{bucket: bucket{tokens: 20, filled: now}}
		var got error
		rest := b
		for _, c := range cuts {
			n := min(int(c), len(rest))
			if got = split.feed(rest[:n], now); got != nil {
				break
			}
			rest = rest[n:]
		}
		if got == nil {
			got = split.feed(rest, now)
		}
		if !errors.Is(got, want) || !errors.Is(want, got) {
			t.Fatalf("in pieces %v, at once %v", got, want)
		}
		if want == nil && (full.have != split.have || full.skip != split.skip || full.tokens != split.tokens) {
			t.Errorf("in pieces %+v, at once %+v", split, full)
		}
		if full.tokens < 0 || full.have >= muxHeaderLen {
			t.Errorf("guard %+v", full)
		}
	})
}
