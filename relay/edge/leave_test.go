package edge

import (
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// leaver is a stub whose agent reports how each exchange was given up.
func leaver(t *testing.T) (s *stub, entered chan bool, gone chan *tunnel.Failure) {
	entered, gone = make(chan bool, 1), make(chan *tunnel.Failure, 1)
	report := func(err error) { gone <- tunnel.AsFailure(err) }
	s = newStub(t, func(x *tunnel.Exchange) {
		aborted := make(chan *tunnel.Failure, 1)
		x.OnAbort(func(f *tunnel.Failure) { aborted <- f })
		switch string(x.Request().Target) {
		case "/think":
			io.Copy(io.Discard, x)
			entered <- true
			gone <- <-aborted
		case "/upload":
			x.Data()
			entered <- true
			for {
				if _, err := x.Data(); err != nil {
					report(err)
					return
				}
			}
		case "/hints":
			x.SendResponse(response(103, 0))
			entered <- true
			gone <- <-aborted
		case "/events":
			x.SendResponse(response(200, -1))
			io.WriteString(x, "one")
			x.Flush()
			entered <- true
			gone <- <-aborted
		case "/download":
			x.SendResponse(response(200, -1))
			entered <- true
			for piece := make([]byte, 16<<10); ; {
				if _, err := x.Write(piece); err != nil {
					report(err)
					return
				}
			}
		case "/stopped":
			x.Stop()
			x.SendResponse(response(200, -1))
			x.Flush()
			entered <- true
			gone <- <-aborted
		case "/early":
			// An answer before the upload's end, and more of it to come.
			x.SendResponse(response(200, -1))
			io.WriteString(x, "one")
			x.Flush()
			entered <- true
			for {
				if _, err := x.Data(); err != nil {
					report(err)
					return
				}
			}
		}
	}, nil)
	return s, entered, gone
}

// Visitors leave while the relay has read ahead, is in the middle of a body, or
// waits: each time the agent is told, as the target must be.
func TestVisitorLeaves(t *testing.T) {
	t.Parallel()
	const host = " HTTP/1.1\nHost: x.test\n"
	tests := []struct{ name, request string }{
		{"while the target thinks", "GET /think" + host + "\n"},
		{"behind a body, while the target thinks", "POST /think" + host + "Content-Length: 4\n\nbody"},
		{"behind a chunked body, while the target thinks", "POST /think" + host + "Transfer-Encoding: chunked\n\n4\nbody\n0\n\n"},
		{"behind pipelined requests", "GET /think" + host + "\nGET /think" + host + "\nGET /th"},
		{"inside a body", "POST /upload" + host + "Content-Length: 10\n\nhalf"},
		{"inside a chunked body", "POST /upload" + host + "Transfer-Encoding: chunked\n\n4\nhalf\n"},
		{"inside a chunk", "POST /upload" + host + "Transfer-Encoding: chunked\n\n9\nhalf"},
		{"behind an interim response", "GET /hints" + host + "\n"},
		{"between events", "GET /events" + host + "\n"},
		{"between events over HTTP/1.0", "GET /events HTTP/1.0\nHost: x.test\n\n"},
		{"inside a download", "GET /download" + host + "\n"},
		{"inside a body that is answered early", "POST /early" + host + "Content-Length: 10\n\nhalf"},
		{"inside a body that nobody wants", "POST /stopped" + host + "Content-Length: 10\n\nhalf"},
		{"behind a body that nobody wants", "POST /stopped" + host + "Transfer-Encoding: chunked\n\n4\nhalf\n0\n\n"},
	}
	for _, tt := range tests {
		for _, how := range []string{"FIN", "RST"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				s, entered, gone := leaver(t)
				v := s.visit()
				v.send(tt.request)
				await(t, entered, "the request")
				if how == "RST" {
					v.Conn.(*net.TCPConn).SetLinger(0)
				}
				v.Close()
				until(t, "the agent's word", func() bool {
					s.look()
					return len(gone) == 1
				})
				wantGone(t, <-gone)
				until(t, "the log line", func() bool { return s.log.has("cause=visitor_gone") })
			})
		}
	}
}

func TestVisitorLeaves2(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, target, body string }{
		{"while the target thinks", "/think", ""},
		{"inside a body", "/upload", "half"},
		{"behind an interim response", "/hints", ""},
		{"between events", "/events", ""},
		{"inside a download", "/download", ""},
		{"inside a body that is answered early", "/early", "half"},
	}
	for _, tt := range tests {
		for _, how := range []string{"RST_STREAM", "FIN", "GOAWAY and FIN"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				s, entered, gone := leaver(t)
				v := s.visit2()
				stream := v.open(tt.body == "", "POST", tt.target)
				if tt.body != "" {
					v.framer.WriteData(stream, false, []byte(tt.body))
				}
				await(t, entered, "the request")
				switch how {
				case "RST_STREAM":
					v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
				case "GOAWAY and FIN":
					v.framer.WriteGoAway(0, http2.ErrCodeNo, nil)
					fallthrough
				case "FIN":
					v.Close()
				}
				wantGone(t, await(t, gone, "the agent's word"))
				until(t, "the log line", func() bool { return s.log.has("cause=visitor_gone") })
			})
		}
	}
}

// A visitor who leaves at the moment at which its answer is whole takes no
// other visitor's exchange along.
func TestLeavingHitsNoOther(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "ok") }, nil)
	v := s.visit2()
	other := s.visit()
	for range 300 {
		stream := v.open(true, "GET", "/")
		v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		other.send("GET / HTTP/1.1\nHost: x.test\n\n")
		if a := other.receive("GET"); a.StatusCode != 200 || a.body != "ok" {
			t.Fatalf("another visitor gets %d %q", a.StatusCode, a.body)
		}
	}
}

// wantGone checks what an agent is told of a visitor who left.
func wantGone(t *testing.T, f *tunnel.Failure) {
	t.Helper()
	if f.Cause != tunnel.VisitorGone {
		t.Errorf("the agent is told %v", f)
	}
}
