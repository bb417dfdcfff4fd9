package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/yamux"
)

// Whatever an agent writes to an exchange's stream: the relay has a whole
// answer or a failure with a cause, the same however it reads, and the session
// goes on.
func FuzzReader(f *testing.F) {
	ok := appendResponse(nil, &Response{Status: 200, ContentLength: 4})
	f.Add(append(bytes.Clone(ok), frame(typeData|frameEnd, []byte("body")...)...))
	f.Add(append(bytes.Clone(ok), frame(typeData|frameEnd, []byte("more than that")...)...))
	f.Add(append(bytes.Clone(ok), appendTrailers(nil, Header{{[]byte("a"), []byte("b")}})...))
	f.Add(append(bytes.Clone(ok), appendError(nil, &Failure{Cause: TargetIncomplete})...))
	f.Add(append(frame(60|frameIgnore, 1, 2, 3), response(frameEnd, exampleResponse(103))...))
	f.Add(bytes.Join([][]byte{response(0, exampleResponse(103)), response(0, exampleResponse(200)), frame(typeData), frame(typeData | frameEnd)}, nil))

	mux, relay := muxAgent(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 { // what the window takes
			return
		}
		var bodies [2][]byte
		var errs [2]error
		for i := range 2 {
			x := begin(t, relay)
			x.count(reuseLimit) // each has a stream of its own
			stream, err := mux.AcceptStream()
			if err != nil {
				t.Fatal(err)
			}
			stream.Write(b)
			stream.Close()
			bodies[i], errs[i] = all(t, x, i == 0)
			x.Close()
			io.Copy(io.Discard, stream)
		}
		if (errs[0] == nil) != (errs[1] == nil) || errs[0] != nil && AsFailure(errs[0]).Cause != AsFailure(errs[1]).Cause {
			t.Errorf("by Data %v, by Read %v", errs[0], errs[1])
		}
		if errs[0] == nil && !bytes.Equal(bodies[0], bodies[1]) {
			t.Errorf("by Data %d bytes, by Read %d", len(bodies[0]), len(bodies[1]))
		}
		if relay.Err() != nil {
			t.Fatalf("session ended: %v", relay.Err())
		}
	})
}

// muxAgent is an agent that has a multiplexer, and no more, over a relay's
// session.
func muxAgent(t testing.TB) (*yamux.Session, *Session) {
	t.Helper()
	a, r := net.Pipe()
	relays := acceptOn(t, r)
	hello, err := appendHello(&Hello{Kind: KindSession})
	if err != nil {
		t.Fatal(err)
	}
	a.Write(hello)
	if _, err := readWelcome(a); err != nil {
		t.Fatal(err)
	}
	mux, err := yamux.Client(a, muxConfig(acceptBacklog))
	if err != nil {
		t.Fatal(err)
	}
	control, err := mux.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan bool)
	go func() {
		defer close(drained)
		io.Copy(io.Discard, control)
	}()
	t.Cleanup(func() { mux.Close(); <-drained })
	relay := <-relays
	if relay == nil {
		t.FailNow()
	}
	served(t, relay, nil)
	return mux, relay
}

// all reads a response to its end, by Data or by Read.
func all(t *testing.T, x *Exchange, data bool) (body []byte, err error) {
	t.Helper()
	defer func() {
		if f, ok := errors.AsType[*Failure](err); err != nil && (!ok || f == nil || f.Cause == CauseNone) {
			t.Errorf("error %#v", err)
		}
		if failed := x.Err(); (failed == nil) != (err == nil) {
			t.Errorf("error %v, but Err is %v", err, failed)
		}
	}()
	for {
		r, err := x.ReceiveResponse()
		if err != nil {
			return nil, err
		}
		if r.Interim() {
			continue
		}
		length := r.ContentLength
		buf := make([]byte, 7)
		for err == nil {
			var p []byte
			if data {
				p, err = x.Data()
			} else {
				var n int
				n, err = x.Read(buf)
				p = buf[:n]
			}
			body = append(body, p...)
		}
		if err != io.EOF {
			return body, err
		}
		if length >= 0 && r.Flags&ResponseUpgrade == 0 && int64(len(body)) != length {
			t.Errorf("a whole body of %d bytes where %d were announced", len(body), length)
		}
		return body, nil
	}
}

// Whatever a relay writes to a stream: the agent answers in whole frames, of
// which the last of each answer bears END, and the session goes on.
func FuzzServe(f *testing.F) {
	post := &Request{Method: []byte("POST"), ContentLength: 4}
	f.Add(append(request(0, 1, post), frame(typeData|frameEnd, []byte("body")...)...))
	f.Add(append(request(frameEnd, 1, &Request{}), request(frameEnd, 2, exampleRequest())...))
	f.Add(append(request(0, 1, post), appendError(nil, &Failure{Cause: VisitorGone})...))
	f.Add(append(request(0, 1, exampleRequest()), appendTrailers(nil, exampleRequest().Header)...))
	f.Add(append(frame(60|frameIgnore, 1), request(0, 1, &Request{Flags: RequestUpgrade})...))

	a, r := net.Pipe()
	agent, relay := pair(f, a, r, answer)
	l := only(f, relay)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 { // what the window takes
			return
		}
		stream, err := l.mux.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(b)
		stream.Close()
		out, err := io.ReadAll(stream)
		if err != nil {
			t.Fatal(err)
		}
		ended := true
		for len(out) > 0 {
			n := frameHeaderLen
			if len(out) >= n {
				n += int(out[1])<<16 | int(out[2])<<8 | int(out[3])
			}
			if len(out) < n {
				t.Fatalf("the last frame is cut: %q", out)
			}
			ended = out[0]&frameEnd != 0
			out = out[n:]
		}
		if !ended {
			t.Error("the last frame bears no END")
		}
		if agent.Err() != nil || relay.Err() != nil {
			t.Fatalf("session ended: %v, %v", agent.Err(), relay.Err())
		}
	})
}
