package edge

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"share/tunnel"
)

// What is sent to visitors of HTTP/1.1 and HTTP/1.0, byte for byte.
func TestFraming(t *testing.T) {
	t.Parallel()
	answers := map[string]func(x *tunnel.Exchange){
		"/length": func(x *tunnel.Exchange) { respond(x, 200, "body", "X-A", "1", "Content-Length", "4", "X-B", "2") },
		"/stated": func(x *tunnel.Exchange) { respond(x, 200, "body") },
		"/empty":  func(x *tunnel.Exchange) { respond(x, 200, "", "Content-Length", "0") },
		"/chunked": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, -1, "Trailer", "X-Sum"))
			io.WriteString(x, "body")
			x.End(response(0, 0, "X-Sum", "1").Header)
		},
		"/none": func(x *tunnel.Exchange) { x.SendResponse(response(200, -1)); x.End(nil) },
		"/204":  func(x *tunnel.Exchange) { respond(x, 204, "", "X-A", "1") },
		"/304":  func(x *tunnel.Exchange) { respond(x, 304, "", "Content-Length", "4", "Etag", `"a"`) },
		"/reason": func(x *tunnel.Exchange) {
			r := response(200, 0)
			r.Reason = []byte("Fein\xfc")
			x.SendResponse(r)
			x.End(nil)
		},
		"/interim": func(x *tunnel.Exchange) { x.SendResponse(response(103, 0, "Link", "</x>")); respond(x, 200, "body") },
		"/head":    func(x *tunnel.Exchange) { respond(x, 200, "", "Content-Length", "4") },
	}
	s := newStub(t, func(x *tunnel.Exchange) { answers[string(x.Request().Target)](x) }, nil)
	tests := []struct{ request, want string }{
		{"GET /length HTTP/1.1\n", "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 4\nX-B: 2\n\nbody"},
		{"GET /stated HTTP/1.1\n", "HTTP/1.1 200 OK\nContent-Length: 4\n\nbody"},
		{"GET /empty HTTP/1.1\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
		{"GET /chunked HTTP/1.1\n", "HTTP/1.1 200 OK\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n4\nbody\n0\nX-Sum: 1\n\n"},
		{"GET /none HTTP/1.1\n", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n0\n\n"},
		{"GET /204 HTTP/1.1\n", "HTTP/1.1 204 No Content\nX-A: 1\n\n"},
		{"GET /304 HTTP/1.1\n", "HTTP/1.1 304 Not Modified\nContent-Length: 4\nEtag: \"a\"\n\n"},
		{"HEAD /head HTTP/1.1\n", "HTTP/1.1 200 OK\nContent-Length: 4\n\n"},
		{"HEAD /none HTTP/1.1\n", ""}, // below: a lie
		{"GET /reason HTTP/1.1\n", "HTTP/1.1 200 Fein\xfc\nContent-Length: 0\n\n"},
		{"GET /interim HTTP/1.1\n", "HTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 200 OK\nContent-Length: 4\n\nbody"},
		{"GET /length HTTP/1.1\nConnection: close\n", "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 4\nX-B: 2\nConnection: close\n\nbody"},
		{"GET /length HTTP/1.0\n", "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 4\nX-B: 2\nConnection: close\n\nbody"},
		{"GET /length HTTP/1.0\nConnection: keep-alive\n", "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 4\nX-B: 2\nConnection: keep-alive\n\nbody"},
		{"GET /chunked HTTP/1.0\n", "HTTP/1.1 200 OK\nTrailer: X-Sum\nConnection: close\n\nbody"},
		{"GET /chunked HTTP/1.0\nConnection: keep-alive\n", "HTTP/1.1 200 OK\nTrailer: X-Sum\nConnection: close\n\nbody"},
		{"GET /none HTTP/1.0\n", "HTTP/1.1 200 OK\nConnection: close\n\n"},
		{"GET /204 HTTP/1.0\n", "HTTP/1.1 204 No Content\nX-A: 1\nConnection: close\n\n"},
		{"HEAD /head HTTP/1.0\n", "HTTP/1.1 200 OK\nContent-Length: 4\nConnection: close\n\n"},
		{"GET /interim HTTP/1.0\n", "HTTP/1.1 200 OK\nContent-Length: 4\nConnection: close\n\nbody"},
	}
	for _, tt := range tests {
		v := s.visit()
		v.send(tt.request + "Host: x.test\n\n")
		if !strings.Contains(tt.want, "Connection: close") {
			// What comes next shows where the answer ends.
			v.send("GET /empty HTTP/1.1\nHost: x.test\nConnection: close\n\n")
		}
		got, err := v.ends()
		if err != io.EOF {
			t.Errorf("%q: %v", tt.request, err)
		}
		got = strings.ReplaceAll(got, "\r\n", "\n")
		if tt.want == "" {
			if !strings.HasPrefix(got, "HTTP/1.1 502 ") {
				t.Errorf("%q: got %q, want a 502", tt.request, got)
			}
			continue
		}
		got = strings.TrimSuffix(got, "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n")
		if got != tt.want {
			t.Errorf("%q:\n got %q\nwant %q", tt.request, got, tt.want)
		}
	}
}

func TestFraming2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		switch string(x.Request().Target) {
		case "/trailers":
			// A field that a Trailer field announces is not sent twice.
			x.SendResponse(response(200, -1, "Trailer", "X-Sum, X-Both", "X-Both", "head", "Set-Cookie", "a=1", "set-cookie", "b=2"))
			io.WriteString(x, "body")
			x.End(response(0, 0, "X-Sum", "1", "X-Late", "2", "x-late", "3").Header)
		case "/bare":
			respond(x, 200, "<html>body", "Content-Length", "10")
		case "/none":
			x.SendResponse(response(200, -1))
			x.End(nil)
		case "/head":
			respond(x, 200, "", "Content-Length", "4")
		default:
			respond(x, 204, "")
		}
	}, nil)
	client := s.client2()
	a := ask2(t, client, "GET", "http://x.test/trailers", nil)
	if a.body != "body" || a.err != nil || a.Header.Get("X-Both") != "head" || len(a.Header["Set-Cookie"]) != 2 {
		t.Errorf("got %q, %v, %v", a.body, a.err, a.Header)
	}
	if len(a.Trailer["X-Sum"]) != 1 || len(a.Trailer["X-Late"]) != 2 || len(a.Trailer["X-Both"]) != 0 {
		t.Errorf("trailers %v", a.Trailer)
	}
	// Nothing is invented.
	a = ask2(t, client, "GET", "http://x.test/bare", nil)
	if a.body != "<html>body" || len(a.Header) != 1 || a.ContentLength != 10 {
		t.Errorf("got %q with %v", a.body, a.Header)
	}
	if a := ask2(t, client, "HEAD", "http://x.test/head", nil); a.ContentLength != 4 || a.err != nil {
		t.Errorf("HEAD: length %d, %v", a.ContentLength, a.err)
	}
	if a := ask2(t, client, "GET", "http://x.test/204", nil); a.StatusCode != 204 || a.err != nil || len(a.Header) != 0 {
		t.Errorf("204: %d %v, %v", a.StatusCode, a.Header, a.err)
	}
	if a := ask2(t, client, "GET", "http://x.test/none", nil); a.body != "" || a.err != nil {
		t.Errorf("none: %q, %v", a.body, a.err)
	}
}

// Pieces small and large arrive as they were, whatever carries them.
func TestBodies(t *testing.T) {
	t.Parallel()
	sizes := []int{1, outBuffer - 1, outBuffer, outBuffer + 1, 3 * outBuffer, 1 << 20}
	s := newStub(t, func(x *tunnel.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		length := int64(len(body))
		if string(x.Request().Target) == "/unknown" {
			length = -1
		}
		x.SendResponse(response(200, length))
		for i := 0; i < len(body); {
			n := min(1+i*7%(2*outBuffer), len(body)-i)
			x.Write(body[i : i+n])
			if i%3 == 0 {
				x.Flush()
			}
			i += n
		}
		x.End(nil)
	}, nil)
	client := s.client2()
	v := s.visit()
	for i, size := range sizes {
		want := bytes.Repeat([]byte{byte('a' + i)}, size)
		for _, target := range []string{"/known", "/unknown"} {
			go func() {
				v.send("POST " + target + " HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\n")
				for p := want; len(p) > 0; {
					n := min(len(p), 5000)
					v.send(chunk(p[:n]))
					p = p[n:]
				}
				v.send("0\n\n")
			}()
			if a := v.receive("POST"); a.body != string(want) || a.err != nil {
				t.Errorf("%s %d: %d bytes, %v", target, size, len(a.body), a.err)
			}
			if a := ask2(t, client, "POST", "http://x.test"+target, bytes.NewReader(want)); a.body != string(want) || a.err != nil {
				t.Errorf("%s %d over HTTP/2: %d bytes, %v", target, size, len(a.body), a.err)
			}
		}
	}
}
