package edge

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"share/tunnel"
)

// Whether a body is wanted is the target's to say.
func TestExpect(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		r := x.Request()
		if r.Flags&tunnel.RequestExpect == 0 || string(r.Header.Get("expect")) != "100-continue" {
			t.Errorf("flags %b, Expect %q", r.Flags, r.Header.Get("expect"))
		}
		if string(r.Target) == "/refused" {
			respond(x, 417, "no")
			return
		}
		if x.Buffered() {
			t.Error("the body came unasked")
		}
		x.SendResponse(response(100, 0))
		body, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		respond(x, 200, string(body))
	}, nil)
	v := s.visit()
	v.send("POST /granted HTTP/1.1\nHost: x.test\nExpect: 100-continue\nContent-Length: 4\n\n")
	if a := v.receive("POST"); a.StatusCode != 100 {
		t.Fatalf("got %d, want 100", a.StatusCode)
	}
	v.send("body")
	if a := v.receive("POST"); a.StatusCode != 200 || a.body != "body" || a.Close {
		t.Errorf("got %d %q, close %v", a.StatusCode, a.body, a.Close)
	}
	// The refused body may come or not: the connection cannot go on.
	v.send("POST /refused HTTP/1.1\nHost: x.test\nExpect: 100-continue\nContent-Length: 4\n\n")
	if a := v.receive("POST"); a.StatusCode != 417 || a.body != "no" || !a.Close {
		t.Errorf("got %d %q, close %v", a.StatusCode, a.body, a.Close)
	}
	v.send("GET / HTTP/1.1\nHost: x.test\n\n") // what would be the body
	if rest, err := v.ends(); rest != "" || err != io.EOF {
		t.Errorf("behind the refusal: %q, %v", rest, err)
	}
}

// In HTTP/2, too.
func TestExpect2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		r := x.Request()
		if r.Flags&tunnel.RequestExpect == 0 || string(r.Header.Get("expect")) != "100-continue" {
			t.Errorf("flags %b, Expect %q", r.Flags, r.Header.Get("expect"))
		}
		if string(r.Target) == "/refused" {
			respond(x, 417, "no")
			return
		}
		if x.Buffered() {
			t.Error("the body came unasked")
		}
		x.SendResponse(response(100, 0))
		body, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		respond(x, 200, string(body))
	}, nil)
	v := s.visit2()
	stream := v.open(false, "POST", "/granted", "expect", "100-continue", "content-length", "4")
	a := v.receiveUntil(stream, func(a *answer2) bool { return len(a.interim) > 0 })
	if strings.Join(a.interim, ",") != "100" {
		t.Fatalf("got %+v, want 100", a)
	}
	v.framer.WriteData(stream, true, []byte("body"))
	a = v.receive(stream)
	if a.want(t, 200, ""); len(a.interim) > 0 || a.body != "body" {
		t.Errorf("got %+v", a)
	}
	a = v.receive(v.open(false, "POST", "/refused", "expect", "100-continue"))
	if a.want(t, 417, ""); len(a.interim) > 0 || a.body != "no" {
		t.Errorf("got %+v", a)
	}
}

// An answer that comes before the upload's end arrives, and what is left of the
// upload is not taken for a request.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 413, "too much") }, nil)
	for _, framing := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		v := s.visit()
		v.send("POST / HTTP/1.1\nHost: x.test\n" + framing + "\n\n")
		if a := v.receive("POST"); a.StatusCode != 413 || a.body != "too much" || !a.Close {
			t.Errorf("%s: got %d %q, close %v", framing, a.StatusCode, a.body, a.Close)
		}
		io.WriteString(v, "GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("%s: behind the answer: %q, %v", framing, rest, err)
		}
	}
	v := s.visit2()
	stream := v.open(false, "POST", "/")
	a := v.receive(stream)
	if a.want(t, 413, ""); a.body != "too much" {
		t.Errorf("HTTP/2: %+v", a)
	}
}

// A visitor who looks for the answer only behind a large upload that nobody wanted
// can send all of it, and finds the answer.
func TestAnswerWaitsForTheUpload(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	v := s.visit()
	body := make([]byte, 16<<20) // more than sockets hold
	v.send("POST / HTTP/1.1\nHost: y.test\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n")
	if _, err := v.Write(body); err != nil {
		t.Errorf("the upload: %v", err)
	}
	v.receive("POST").want(t, 404, "unknown_name")
	if rest, err := v.ends(); rest != "" || err != io.EOF {
		t.Errorf("behind the answer: %q, %v", rest, err)
	}
}

// A body that is no valid chunked one is the visitor's fault: the target never
// takes it for whole.
func TestMalformedUpload(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan bool, 1), make(chan error, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		begun <- true
		_, err := io.Copy(io.Discard, x)
		ended <- err
		respond(x, 200, "ok")
	}, nil)
	const head = "POST / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\n"
	for _, body := range []string{"x\n", "4\nbodyx", "0\nContent-Length: 4\n\n"} {
		// With its head: the target sees nothing of the request.
		v := s.visit()
		v.send(head + body)
		v.receive("POST").want(t, 400, "bad_request")
		if len(ended) > 0 {
			t.Errorf("%q: the request got to the agent", body)
		}
		// Later: it sees the body end badly.
		v = s.visit()
		v.send(head)
		await(t, begun, "the request")
		v.send(body)
		v.receive("POST").want(t, 400, "bad_request")
		if err := await(t, ended, "the body's end"); err == nil {
			t.Errorf("%q: the agent takes the body for whole", body)
		}
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("%q: behind the answer: %q, %v", body, rest, err)
		}
	}
}

// Trailers of a request go on, those that may not frame or route it, nor end
// here.
func TestRequestTrailers(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		io.Copy(io.Discard, x)
		respond(x, 200, string(x.Trailers().Get("x-sum"))+string(x.Trailers().Get("x-hop")))
	}, nil)
	v := s.visit()
	v.send("POST / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\nConnection: X-Hop\nTrailer: X-Sum\n\n4\nbody\n0\nX-Sum: one\nX-Hop: no\n\n")
	if a := v.receive("POST"); a.body != "one" {
		t.Errorf("got %q", a.body)
	}
	// So it is when the body has taken the head's place in the buffer.
	v.send("POST / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\nConnection: X-Hop\nTrailer: X-Sum\n\n")
	v.send("10000\n" + strings.Repeat("x-hop,", 1<<16/6+1)[:1<<16] + "\n0\nX-Sum: one\nX-Hop: no\n\n")
	if a := v.receive("POST"); a.body != "one" {
		t.Errorf("behind a large body: got %q", a.body)
	}
	v2 := s.visit2()
	stream := v2.open(false, "POST", "/", "trailer", "x-sum")
	v2.framer.WriteData(stream, false, []byte("body"))
	v2.trailers(stream, "x-sum", "two")
	if a := v2.receive(stream); a.body != "two" {
		t.Errorf("HTTP/2: %+v", a)
	}
}

// What share sets in a request's head nobody says in its trailers: a server that
// joins the two would believe it.
func TestForgedTrailers(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		io.Copy(io.Discard, x)
		respond(x, 200, text(x.Trailers()))
	}, func(cfg *Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	const want = "X-Sum: one\n"
	for _, forged := range []string{"X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Share-Error"} {
		v := s.visit()
		v.send("POST / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\n4\nbody\n0\n" + forged + ": 6.6.6.6\nX-Sum: one\n\n")
		if a := v.receive("POST"); a.StatusCode != 200 || a.body != want {
			t.Errorf("%s: the target gets %q, want %q", forged, a.body, want)
		}
		v2 := s.visit2()
		stream := v2.open(false, "POST", "/")
		v2.trailers(stream, strings.ToLower(forged), "6.6.6.6")
		if a := v2.receive(stream); a.status != "200" || a.body != "" {
			t.Errorf("%s over HTTP/2: the target gets %q", forged, a.body)
		}
	}
}
