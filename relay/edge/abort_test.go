package edge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"share/tunnel"
)

// An answer that fails behind its head is visibly cut, each in its own way, and
// what came before arrives.
func TestAbort(t *testing.T) {
	t.Parallel()
	read := make(chan bool, 10) // of all exchanges
	s := newStub(t, func(x *tunnel.Exchange) {
		length := int64(-1)
		if string(x.Request().Target) == "/length" {
			length = 1000
		}
		x.SendResponse(response(200, length))
		io.WriteString(x, "part")
		x.Flush()
		select {
		case <-read: // or the failure might come before the head has left
		case <-t.Context().Done(): // before the cleanup, also of a test that fails
		}
		x.Abort(&tunnel.Failure{Cause: tunnel.TargetIncomplete})
	}, nil)
	secure := s.secureDoor("x.test")
	tests := []struct {
		name, target, version string
		tls                   bool
		want                  error // of the TCP connection
	}{
		{"chunked", "/", "1.1", false, io.EOF},
		{"length", "/length", "1.1", false, io.EOF},
		{"HTTP/1.0", "/", "1.0", false, syscall.ECONNRESET},
		{"HTTP/1.0 with a length", "/length", "1.0", false, io.EOF},
		{"chunked, TLS", "/", "1.1", true, io.EOF},
		{"length, TLS", "/length", "1.1", true, io.EOF},
		{"HTTP/1.0, TLS", "/", "1.0", true, syscall.ECONNRESET},
	}
	for _, tt := range tests {
		v, w := s.visit(), (*watched)(nil)
		if tt.tls {
			v, w = s.visitSecurely(secure, "http/1.1")
		}
		v.send("GET " + tt.target + " HTTP/" + tt.version + "\nHost: x.test\n\n")
		var got strings.Builder
		for !strings.Contains(got.String(), "part") {
			b, err := v.r.ReadByte()
			if err != nil {
				t.Fatalf("%s: %v behind %q", tt.name, err, got.String())
			}
			got.WriteByte(b)
		}
		read <- true
		rest, err := v.ends()
		if strings.Contains(rest, "0\r\n") {
			t.Errorf("%s: a last chunk: %q", tt.name, rest)
		}
		if w != nil {
			if err == io.EOF && tt.want != io.EOF {
				t.Errorf("%s: TLS says that the end is the message's", tt.name)
			}
			if err = w.ended; err == nil {
				err = io.EOF // behind TLS's own end
			}
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: the connection ended with %v, want %v", tt.name, err, tt.want)
		}
	}

	v := s.visit2()
	stream := v.open(true, "GET", "/")
	a := v.receiveUntil(stream, func(a *answer2) bool { return a.body == "part" })
	read <- true
	if a.end = v.receive(stream).end; a.end != "RST_STREAM INTERNAL_ERROR" || a.status != "200" || a.body != "part" {
		t.Errorf("HTTP/2: %+v", a)
	}
	// The connection lives on.
	stream = v.open(true, "GET", "/none", "x-forwarded-for", "1")
	read <- true
	if a := v.receive(stream); a.end != "RST_STREAM INTERNAL_ERROR" {
		t.Errorf("HTTP/2, again: %+v", a)
	}
}

// A whole answer that ends with its connection ends with a FIN, and with TLS
// says so.
func TestEndWithTheConnection(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		x.SendResponse(response(200, -1))
		io.WriteString(x, "whole")
		x.End(nil)
	}, nil)
	secure := s.secureDoor("x.test")
	v := s.visit()
	// A second request that is not answered must not turn the end into a reset.
	v.send("GET / HTTP/1.0\nHost: x.test\nConnection: keep-alive\n\nGET / HTTP/1.0\nHost: x.test\n\n")
	if rest, err := v.ends(); err != io.EOF || !strings.HasSuffix(rest, "\r\n\r\nwhole") {
		t.Errorf("%q, %v", rest, err)
	}
	v, w := s.visitSecurely(secure, "http/1.1")
	v.send("GET / HTTP/1.0\nHost: x.test\n\n")
	if rest, err := v.ends(); err != io.EOF || !strings.HasSuffix(rest, "\r\n\r\nwhole") || w.ended != nil && w.ended != io.EOF {
		t.Errorf("TLS: %q, %v, %v", rest, err, w.ended)
	}
}

// A failure that comes with the head, before a byte of it was sent, is
// answered, also where the connection's end would have been the message's.
func TestFailureInPlaceOfTheHead(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		// Trailers that may not be: the relay finds it when all has come.
		x.SendResponse(response(200, -1))
		x.End(response(0, 0, "Content-Length", "4").Header)
	}, nil)
	for _, version := range []string{"1.1", "1.0"} {
		for range 20 {
			v := s.visit()
			v.send("GET / HTTP/" + version + "\nHost: x.test\nConnection: close\n\n")
			v.receive("GET").want(t, 502, "protocol")
			if rest, err := v.ends(); rest != "" || err != io.EOF {
				t.Errorf("HTTP/%s: %q, %v behind the answer", version, rest, err)
			}
		}
	}
	v := s.visit2()
	a := v.receive(v.open(true, "GET", "/"))
	a.want(t, 502, "protocol")
}

// A message of a known length is not whole before its END has come, though all
// of its bytes have: one that then fails is answered or cut.
func TestEndIsMissing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		size int
		ends bool
		want int // status
	}{
		{"small and whole", 1000, true, 200},
		{"small", 1000, false, 504},
		{"large and whole", 200_000, true, 200},
		{"large", 200_000, false, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := make(chan *tunnel.Exchange, 1)
			ended := make(chan bool)
			defer close(ended)
			s := newStub(t, func(x *tunnel.Exchange) {
				x.SendResponse(response(200, int64(tt.size)))
				io.WriteString(x, strings.Repeat("x", tt.size))
				x.Flush()
				sent <- x
				<-ended
			}, nil)
			v := s.visit()
			v.send("GET / HTTP/1.1\nHost: x.test\n\n")
			x := await(t, sent, "the answer")
			if tt.ends {
				x.End(nil)
			} else {
				x.Abort(&tunnel.Failure{Cause: tunnel.TargetTimeout})
			}
			resp, err := http.ReadResponse(v.r, nil)
			if err != nil || resp.StatusCode != tt.want {
				t.Fatalf("%v, %v; want status %d", resp, err, tt.want)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			whole := err == nil && n == resp.ContentLength
			if want := tt.ends || tt.want != 200; whole != want {
				t.Errorf("%d bytes of %d, %v; whole is %v, want %v", n, resp.ContentLength, err, whole, want)
			}
		})
	}
}
