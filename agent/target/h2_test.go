package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// serveH2 is an HTTP/2 target in plain, or over TLS.
func serveH2(t testing.TB, cfg *tls.Config, handler http.HandlerFunc) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handler, Protocols: new(http.Protocols), TLSConfig: cfg}
	srv.Protocols.SetUnencryptedHTTP2(cfg == nil)
	srv.Protocols.SetHTTP2(cfg != nil)
	done := make(chan error, 1)
	go func() { // done is read in the cleanup
		if cfg != nil {
			done <- srv.ServeTLS(ln, "", "")
		} else {
			done <- srv.Serve(ln)
		}
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestH2(t *testing.T) {
	cert, roots := certificate(t)
	handler := func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		h := w.Header()
		h.Set("X-Proto", q.Proto)
		h.Set("X-Path", q.RequestURI)
		h.Set("X-Host", q.Host)
		h.Set("X-Names", fmt.Sprint(q.Header["Te"], q.Header["Cookie"], q.Header["User-Agent"], q.Header["Accept-Encoding"]))
		h.Set("X-Body", fmt.Sprint(q.ContentLength, len(body), q.Trailer))
		h.Set("Share-Error", "forged")
		h.Set("Proxy-Status", "share-agent; error=x")
		h["Set-Cookie"] = []string{"a", "b"}
		h.Set("Trailer", "X-Sum")
		w.WriteHeader(201)
		w.Write(body)
		h.Set("X-Sum", "1")
		h.Set("Http2-Settings", "no")
	}
	for scheme, addr := range map[string]string{
		"h2c": serveH2(t, nil, handler),
		"h2":  serveH2(t, &tls.Config{Certificates: []tls.Certificate{cert}}, handler),
	} {
		t.Run(scheme, func(t *testing.T) {
			r := newRig(t, scheme+"://"+addr, Config{RootCAs: roots})
			for _, path := range []string{"/a%2f/../b?x=1", "//double//", "/?", "/" + strings.Repeat("x", 5000)} {
				a := r.ask(request("GET", path, "Host: visitor.test", "Cookie: a=b", "X-Y: z", "Share-Probe: x", "Connection: X-Y"), "")
				if a.err != nil || a.status != 201 || a.reason != "Created" {
					t.Fatalf("%+v", a)
				}
				for _, want := range []string{
					"X-Proto: HTTP/2.0", "X-Path: " + path, "X-Host: visitor.test", "X-Names: [] [a=b] [] []",
					"Set-Cookie: a\nSet-Cookie: b", "Trailer: X-Sum", "X-Body: 0 0 map[]",
				} {
					if !a.has(want) {
						t.Errorf("no %q in %q", want, a.header)
					}
				}
				if strings.Contains(a.header, "Share") || strings.Contains(a.header, "Proxy-Status") || a.trailers != "X-Sum: 1\n" {
					t.Errorf("header %q, trailers %q", a.header, a.trailers)
				}
			}
			body := noise(300_000)
			for name, q := range map[string]*tunnel.Request{
				"length":  request("POST", "/", "Content-Length: 300000"),
				"unknown": request("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-T"),
			} {
				q.Flags |= tunnel.RequestTrailers
				x := r.open()
				x.SendRequest(q)
				// The answer comes as the body goes: neither waits for the other.
				go func() { // ends with the exchange
					io.WriteString(x, body)
					var trailers tunnel.Header
					if name == "unknown" {
						trailers.Add("x-t", "9")
					}
					x.End(trailers)
				}()
				a := receive(x)
				x.Close()
				want := map[string]string{"length": "X-Body: 300000 300000 map[]", "unknown": "X-Body: -1 300000 map[X-T:[9]]"}[name]
				if a.err != nil || a.body != body || !a.has(want) || !a.has("X-Names: [trailers] [] [] []") {
					t.Errorf("%s: %d bytes, %v, %q", name, len(a.body), a.err, a.header)
				}
			}
			if a := r.ask(request("HEAD", "/"), ""); a.err != nil || a.status != 201 || a.length != 0 {
				t.Errorf("HEAD: %+v", a)
			}
		})
	}
}

// A call that streams both ways, as gRPC does: messages pass as they come, and
// trailers end it.
func TestH2Streams(t *testing.T) {
	addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		b := make([]byte, 100)
		for {
			n, err := q.Body.Read(b)
			w.Write(bytes.ToUpper(b[:n]))
			http.NewResponseController(w).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})
	r := newRig(t, "h2c://"+addr, Config{})
	x := r.open()
	defer x.Close()
	q := request("POST", "/svc/Method", "Transfer-Encoding: chunked", "Content-Type: application/grpc")
	q.Flags |= tunnel.RequestTrailers
	x.SendRequest(q)
	x.Flush()
	a := receiveHead(x)
	if a.status != 200 || a.length != -1 {
		t.Fatalf("%+v", a)
	}
	for _, msg := range []string{"one", "two", "three"} {
		io.WriteString(x, msg)
		x.Flush()
		if p, err := x.Data(); err != nil || string(p) != strings.ToUpper(msg) {
			t.Fatalf("got %q, %v", p, err)
		}
	}
	x.End(nil)
	receiveBody(x, a)
	if a.err != nil || a.trailers != "Grpc-Status: 0\n" {
		t.Errorf("%+v", a)
	}
	if o := r.next(); o.status != 200 || o.failure != nil {
		t.Errorf("Serve returned %+v", o)
	}
}

func TestH2Interim(t *testing.T) {
	for _, n := range []int{2, 1000} {
		addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Link", "a")
			w.Header().Set("Share-X", "b")
			for range n {
				w.WriteHeader(103)
			}
			w.WriteHeader(204)
		})
		r := newRig(t, "h2c://"+addr, Config{})
		a := r.get("/")
		if n > maxInterim {
			failed(t, a, tunnel.TargetBadResponse)
			continue
		}
		if a.err != nil || a.status != 204 || len(a.interim) != 2 || a.interim[0] != "103 Link: a" {
			t.Errorf("%+v", a)
		}
	}
}

// A response that the target gives up is never ended as if it were whole.
func TestH2Cut(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"unknown length": func(w http.ResponseWriter, q *http.Request) {
			io.WriteString(w, "hello")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"length": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "hello")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "h2c://"+serveH2(t, nil, handler), Config{})
			a := r.get("/")
			cut(t, a, tunnel.TargetIncomplete)
			if a.body != "hello" {
				t.Errorf("body %q", a.body)
			}
		})
	}
	r := newRig(t, "h2c://"+serveH2(t, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Config{})
	failed(t, r.get("/"), tunnel.TargetClosed)
}

func TestH2Failures(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(net.Conn)
		cfg    Config
		cause  tunnel.Cause
	}{
		{"speaks HTTP/1.1", func(c net.Conn) {
			c.Read(make([]byte, 24))
			io.WriteString(c, "HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n")
			io.Copy(io.Discard, c)
		}, Config{}, tunnel.TargetBadResponse},
		{"closes", func(c net.Conn) { io.CopyN(io.Discard, c, 24) }, Config{}, tunnel.TargetClosed},
		{"silent", func(c net.Conn) { io.Copy(io.Discard, c) }, Config{HeaderTimeout: 100 * time.Millisecond}, tunnel.TargetTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.handle)
			r := newRig(t, "h2c://"+s.addr, test.cfg)
			failed(t, r.ask(request("POST", "/", "Content-Length: 5"), "hello"), test.cause)
		})
	}
	r := newRig(t, "h2c://"+serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 100_000))
	}), Config{})
	failed(t, r.get("/"), tunnel.TargetHeadTooLarge)
}

// rawH2 serves streams of which each gets the reset code.
func rawH2(t testing.TB, code http2.ErrCode, requests *atomic.Int32) *server {
	return framesH2(t, func(f *framed, stream uint32) {
		requests.Add(1)
		f.WriteRSTStream(stream, code)
	})
}

// net/http sends again what a stream reset with PROTOCOL_ERROR may have
// delivered; only what may be repeated shall be.
func TestH2NeverTwice(t *testing.T) {
	var requests atomic.Int32
	s := rawH2(t, http2.ErrCodeProtocol, &requests)
	for _, test := range []struct {
		q    *tunnel.Request
		body string
	}{
		{request("POST", "/"), ""},
		{request("POST", "/", "Idempotency-Key: x"), ""},
		{request("DELETE", "/"), ""},
		{request("POST", "/", "Content-Length: 5"), "hello"},
	} {
		r := newRig(t, "h2c://"+s.addr, Config{})
		requests.Store(0)
		a := r.ask(test.q, test.body)
		if a.status != 502 || a.err != nil {
			t.Errorf("%+v", a)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%s with %d bytes was delivered %d times", test.q.Method, len(test.body), n)
		}
	}
}

// What may be repeated is, but not for as long as net/http would.
func TestH2RefusedAgainAndAgain(t *testing.T) {
	var requests atomic.Int32
	s := rawH2(t, http2.ErrCodeRefusedStream, &requests)
	r := newRig(t, "h2c://"+s.addr, Config{HeaderTimeout: limit})
	failed(t, r.get("/"), tunnel.TargetClosed)
	if n := requests.Load(); n != maxTries {
		t.Errorf("the request was delivered %d times, want %d", n, maxTries)
	}
}

func TestH2VisitorLeaves(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan error, 1)
	addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
		began <- true
		_, err := io.ReadAll(q.Body)
		<-q.Context().Done()
		ended <- err
	})
	for _, length := range []int{0, 1_000_000} {
		r := newRig(t, "h2c://"+addr, Config{})
		x := r.open()
		x.SendRequest(request("POST", "/", fmt.Sprint("Content-Length: ", length)))
		if length == 0 {
			x.End(nil)
		}
		x.Flush()
		await(t, began, "the request")
		x.Abort(tunnel.Fail(tunnel.VisitorGone, nil))
		x.Close()
		if err := await(t, ended, "the exchange's end"); length > 0 && err == nil {
			t.Error("a cut upload looked whole")
		}
		if o := r.next(); o.failure == nil {
			t.Errorf("Serve returned %+v", o)
		}
	}
}

// TestH2BodyClock looks for the monotonic reading that keeps a target in time
// when the clock is set inside an upload, or the machine has slept.
func TestH2BodyClock(t *testing.T) {
	taken := make(chan time.Time, 1)
	relay := session(t, func(x *tunnel.Exchange) {
		b := newH2Body(x)
		defer b.end()
		io.Copy(io.Discard, b)
		taken <- b.taken(time.Time{})
	})
	x, err := relay.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	x.SendRequest(request("POST", "/", "Content-Length: 2"))
	io.WriteString(x, "hi")
	x.End(nil)
	if at := await(t, taken, "the body"); !strings.Contains(at.String(), " m=") {
		t.Errorf("the target took bytes at %v by the wall clock", at)
	}
}

func TestH2EarlyAnswer(t *testing.T) {
	addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(413) })
	r := newRig(t, "h2c://"+addr, Config{})
	x := r.open()
	x.SendRequest(request("POST", "/", "Content-Length: 5000000"))
	io.WriteString(x, strings.Repeat("x", 100_000))
	x.Flush()
	if a := receive(x); a.err != nil || a.status != 413 {
		t.Errorf("%+v", a)
	}
	x.Close()
	if o := r.next(); o.status != 413 || o.failure != nil {
		t.Errorf("Serve returned %+v", o)
	}
}

// The connection that Run has made is used, whether the server speaks first or
// not.
func TestH2Spare(t *testing.T) {
	var conns atomic.Int32
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Protocols: new(http.Protocols),
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		},
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }() // done is read in the cleanup
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	r := newRig(t, "h2c://"+ln.Addr().String(), Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.target.probe(ctx)
	for range 3 {
		if a := r.get("/"); a.err != nil || a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Close ends what is under way.
func TestH2CloseCuts(t *testing.T) {
	began := make(chan bool, 1)
	addr := serveH2(t, nil, func(w http.ResponseWriter, q *http.Request) {
		began <- true
		<-q.Context().Done()
	})
	r := newRig(t, "h2c://"+addr, Config{})
	done := make(chan *answer, 1)
	go func() { done <- r.get("/") }() // done is read below
	await(t, began, "the request")
	r.target.Close()
	failed(t, await(t, done, "the answer"), tunnel.Draining)
	failed(t, r.get("/"), tunnel.Draining)
}
