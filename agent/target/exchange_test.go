package target

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"share/tunnel"
)

func TestRequestOnTheWire(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		q    *tunnel.Request
		body string
		want string
	}{
		{"fields in order", Config{}, request("GET", "/a%2f/../b?x=%20", "Host: X.localhost:80", "b: 1", "A:  2", "b: 3", "Accept: */*"), "",
			"GET /a%2f/../b?x=%20 HTTP/1.1\r\nHost: X.localhost:80\r\nb: 1\r\nA:  2\r\nb: 3\r\nAccept: */*\r\n\r\n"},
		{"no Host", Config{}, &tunnel.Request{Method: []byte("get"), Target: []byte("/"), Authority: []byte("h:1")}, "",
			"get / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"host of the target", Config{HostHeader: HostTarget}, request("GET", "/"), "",
			"GET / HTTP/1.1\r\nHost: TARGET\r\n\r\n"},
		{"host given", Config{HostHeader: "dev.test"}, request("GET", "/"), "",
			"GET / HTTP/1.1\r\nHost: dev.test\r\n\r\n"},
		{"what ends here", Config{}, request("GET", "/", "Connection: close", "Keep-Alive: x", "Proxy-Connection: x", "TE: trailers",
			"HTTP2-Settings: x", "Share-Probe: x", "share_health: x", "Trailer: X", "Expect: x", "Shared: x"), "",
			"GET / HTTP/1.1\r\nHost: x.localhost\r\nTrailer: X\r\nExpect: x\r\nShared: x\r\n\r\n"},
		{"length", Config{}, request("POST", "/", "A: 1", "content-length: 5", "Content-Length: 5", "B: 2"), "hello",
			"POST / HTTP/1.1\r\nHost: x.localhost\r\nA: 1\r\ncontent-length: 5\r\nB: 2\r\n\r\nhello"},
		{"empty body", Config{}, request("POST", "/", "Content-Length: 0"), "",
			"POST / HTTP/1.1\r\nHost: x.localhost\r\nContent-Length: 0\r\n\r\n"},
		{"chunked", Config{}, request("POST", "/", "Transfer-Encoding: chunked", "Content-Length: 9"), "hello",
			"POST / HTTP/1.1\r\nHost: x.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"upgrade", Config{}, request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Key: k"), "",
			"GET / HTTP/1.1\r\nHost: x.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"},
		{"upgrade not asked for", Config{}, &tunnel.Request{Method: []byte("GET"), Target: []byte("/"),
			Header: tunnel.Header{{Name: []byte("Host"), Value: []byte("h")}, {Name: []byte("Upgrade"), Value: []byte("websocket")}}}, "",
			"GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.q.ContentLength = max(test.q.ContentLength, -1)
			if test.name == "chunked" {
				test.q.ContentLength = -1
			}
			got := make(chan string, 1)
			s := serve(t, func(c net.Conn) {
				b := make([]byte, len(test.want)+100)
				n := 0
				for n < len(test.want) {
					k, err := c.Read(b[n:])
					if n += k; err != nil {
						break
					}
				}
				got <- string(b[:n])
				io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
				io.Copy(io.Discard, c)
			})
			want := strings.ReplaceAll(test.want, "TARGET", s.addr)
			r := newRig(t, s.addr, test.cfg)
			a := r.ask(test.q, test.body)
			if a.err != nil || a.status != 204 {
				t.Fatalf("answer %+v", a)
			}
			if got := await(t, got, "the request"); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// Whoever the relay is, one request stays one request.
func TestRequestInjection(t *testing.T) {
	s := serve(t, replies("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	r := newRig(t, s.addr, Config{})
	for _, q := range []*tunnel.Request{
		request("GET", "/ HTTP/1.1\r\nX: y"),
		request("GET", "/a b"),
		request("GET /x", "/"),
		request("", "/"),
		request("GET", ""),
		request("GET", "/", "X: a\r\nY: b"),
		request("GET", "/", "X: a\nb"),
		request("GET", "/", "X: a\rb"),
		request("GET", "/", "X: a\x00b"),
		request("GET", "/", "X\r\nY: b"),
		request("GET", "/", "Host: a\r\nb"),
	} {
		failed(t, r.ask(q, ""), tunnel.RequestBad)
	}
	if n := s.accepted(); n != 0 {
		t.Errorf("the target got %d connections", n)
	}
}

func TestResponses(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20_000)
	for _, test := range []struct {
		name, method, reply string
		want                answer
		fin                 bool // the target closes after its reply
	}{
		{"length", "GET", "HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 5\r\nX:y\r\n\r\nhello",
			answer{status: 200, reason: "Fine", length: 5, header: "Server: x\nContent-Length: 5\nX: y\n", body: "hello"}, false},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nShare-Error: x\r\nProxy-Status: share-agent\r\nContent-Length: 3\r\n\r\n",
			answer{status: 200, reason: "OK", length: -1, header: "Trailer: X-Sum\n", body: "hello!", trailers: "X-Sum: 1\n"}, false},
		{"trailers that end here", "GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Hop: 1\r\nX-Sum: 2\r\n\r\n", len(big), big),
			answer{status: 200, reason: "OK", length: -1, body: big, trailers: "X-Sum: 2\n"}, false},
		{"empty chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			answer{status: 200, reason: "OK", length: -1}, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello",
			answer{status: 200, reason: "OK", length: -1, body: "hello"}, true},
		{"empty close", "GET", "HTTP/1.1 200 OK\r\n\r\n",
			answer{status: 200, reason: "OK", length: -1}, true},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			answer{status: 200, reason: "OK", length: 2, header: "Content-Length: 2\n", body: "hi"}, true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			answer{status: 200, reason: "OK", header: "Content-Length: 0\n"}, false},
		{"204", "GET", "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
			answer{status: 204, reason: "No Content", header: "X: 1\n"}, false},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
			answer{status: 204, reason: "No Content"}, false},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
			answer{status: 304, reason: "Not Modified", header: "Content-Length: 99\n"}, false},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
			answer{status: 200, reason: "OK", header: "Content-Length: 99\n"}, false},
		{"HEAD chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			answer{status: 200, reason: "OK"}, false},
		{"its own 502", "GET", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nRetry-After: 3\r\n\r\nmine",
			answer{status: 502, reason: "Bad Gateway", length: 4, header: "Content-Length: 4\nRetry-After: 3\n", body: "mine"}, false},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
			answer{status: 200, header: "Content-Length: 0\n"}, false},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nShare-X: b\r\nConnection: y\r\ny: z\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			answer{interim: []string{"100 ", "103 Link: a"}, status: 200, reason: "OK", length: 1, header: "Content-Length: 1\n", body: "x"}, false},
		{"what ends here", "GET", "HTTP/1.1 200 OK\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nShare-Error: target_refused\r\nProxy-Status: cdn, share-relay; error=x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
			answer{status: 200, reason: "OK", header: "Proxy-Status: cdn\nSet-Cookie: a\nSet-Cookie: b\nContent-Length: 0\n"}, true},
		{"cleaned", "GET", "HTTP/1.1 200 OK\nA : 1\r\nB: 2\r\n  3\r\nContent-Length: 0\r\n\r\n",
			answer{status: 200, reason: "OK", header: "A: 1\nB: 2    3\nContent-Length: 0\n"}, false},
		{"large, length", "GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
			answer{status: 200, reason: "OK", length: int64(len(big)), header: fmt.Sprintf("Content-Length: %d\n", len(big)), body: big}, false},
		{"large, chunked", "GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n1\r\n!\r\n0\r\n\r\n", len(big), big),
			answer{status: 200, reason: "OK", length: -1, body: big + "!"}, false},
		{"large, close", "GET", "HTTP/1.1 200 OK\r\n\r\n" + big,
			answer{status: 200, reason: "OK", length: -1, body: big}, true},
		{"large head", "GET", "HTTP/1.1 200 OK\r\nA: " + big[:40_000] + "\r\nContent-Length: 1\r\n\r\nx",
			answer{status: 200, reason: "OK", length: 1, header: "A: " + big[:40_000] + "\nContent-Length: 1\n", body: "x"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			handle := replies(test.reply)
			if test.fin {
				handle = once(test.reply, false)
			}
			s := serve(t, handle)
			r := newRig(t, s.addr, Config{})
			for range 3 {
				got := r.ask(request(test.method, "/"), "")
				if got.err != nil {
					t.Fatal(got.err)
				}
				if g, w := fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", test.want); g != w {
					t.Fatalf("got\n%.300s\nwant\n%.300s", g, w)
				}
				if o := r.next(); o.status != test.want.status || o.failure != nil {
					t.Fatalf("Serve returned %+v", o)
				}
			}
			if got := s.accepted(); test.fin && got != 3 || !test.fin && got != 1 && test.name != "204 with a length" {
				t.Errorf("%d connections for 3 requests", got)
			}
		})
	}
}

// What the target does wrong before a byte has gone to the visitor is a 502 of
// its cause.
func TestFailuresBeforeTheHead(t *testing.T) {
	long := strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 2000)
	for _, test := range []struct {
		name, reply string
		rst         bool
		cause       tunnel.Cause
	}{
		{"closes", "", false, tunnel.TargetClosed},
		{"resets", "", true, tunnel.TargetClosed},
		{"garbage", "\x00\x01\x02\x03\r\n\r\n", false, tunnel.TargetBadResponse},
		{"garbage without a line", "SSH-2.0-x", false, tunnel.TargetBadResponse},
		{"HTTP/0.9", "<html>hello</html>", false, tunnel.TargetBadResponse},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", false, tunnel.TargetBadResponse},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", false, tunnel.TargetBadResponse},
		{"half a status line", "HTTP/1.1 20", false, tunnel.TargetIncomplete},
		{"half a field", "HTTP/1.1 200 OK\r\nConte", false, tunnel.TargetIncomplete},
		{"no empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false, tunnel.TargetIncomplete},
		{"half a head, reset", "HTTP/1.1 200 OK\r\nConte", true, tunnel.TargetIncomplete},
		{"interim, then closes", "HTTP/1.1 103 Early Hints\r\n\r\n", false, tunnel.TargetIncomplete},
		{"status abc", "HTTP/1.1 abc OK\r\n\r\n", false, tunnel.TargetBadResponse},
		{"status 2000", "HTTP/1.1 2000 OK\r\n\r\n", false, tunnel.TargetBadResponse},
		{"status 42", "HTTP/1.1 042 OK\r\n\r\n", false, tunnel.TargetBadResponse},
		{"length -5", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", false, tunnel.TargetBadResponse},
		{"length abc", "HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello", false, tunnel.TargetBadResponse},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello", false, tunnel.TargetBadResponse},
		{"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, tunnel.TargetBadResponse},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhello", false, tunnel.TargetBadResponse},
		{"head too large", "HTTP/1.1 200 OK\r\n" + long + "\r\n", false, tunnel.TargetHeadTooLarge},
		{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A:\r\n", 1001) + "\r\n", false, tunnel.TargetHeadTooLarge},
		{"too many interims", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxInterim+1), false, tunnel.TargetBadResponse},
		{"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", false, tunnel.UpgradeFailed},
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(test.name+" "+method, func(t *testing.T) {
				var served atomic.Int32
				handle := once(test.reply, test.rst)
				s := serve(t, func(c net.Conn) { served.Add(1); handle(c) })
				r := newRig(t, s.addr, Config{})
				q, body := request(method, "/"), ""
				if method == "POST" {
					q, body = request(method, "/", "Content-Length: 2"), "hi"
				}
				failed(t, r.ask(q, body), test.cause)
				o := r.next()
				if o.failure == nil || o.failure.Cause != test.cause || o.status != test.cause.Status() {
					t.Fatalf("Serve returned %+v", o)
				}
				if o.failure.NextHop != s.addr || o.failure.By != tunnel.Agent || o.failure.Detail == "" {
					t.Errorf("failure %+v", *o.failure)
				}
				if n := served.Load(); n != 1 {
					t.Errorf("the target got it %d times", n)
				}
			})
		}
	}
}

// After the head a cut body is an abort, or, if nothing has left yet, a 502;
// never an end.
func TestCutBodies(t *testing.T) {
	filler := strings.Repeat("x", 200_000)
	for _, test := range []struct {
		name, reply string
		rst         bool
		cause       tunnel.Cause
	}{
		{"length, FIN", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", false, tunnel.TargetIncomplete},
		{"length, RST", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", true, tunnel.TargetIncomplete},
		{"length, nothing", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false, tunnel.TargetIncomplete},
		{"length, much", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + filler, false, tunnel.TargetIncomplete},
		{"chunked, FIN", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, tunnel.TargetIncomplete},
		{"chunked, RST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, tunnel.TargetIncomplete},
		{"chunked, nothing", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, tunnel.TargetIncomplete},
		{"chunked, inside the trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n", false, tunnel.TargetIncomplete},
		{"malformed chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false, tunnel.TargetBadResponse},
		{"malformed chunk, late", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" + filler + "\r\n0x5\r\n", false, tunnel.TargetBadResponse},
		{"close-delimited, RST", "HTTP/1.1 200 OK\r\n\r\nhello", true, tunnel.TargetIncomplete},
		{"HTTP/1.0, RST", "HTTP/1.0 200 OK\r\n\r\n" + filler, true, tunnel.TargetIncomplete},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, once(test.reply, test.rst))
			r := newRig(t, s.addr, Config{})
			a := r.get("/")
			if a.err == nil {
				failed(t, a, test.cause)
			} else {
				cut(t, a, test.cause)
			}
			if o := r.next(); o.failure == nil || o.failure.Cause != test.cause {
				t.Errorf("Serve returned %+v", o)
			}
		})
	}
}

// Wherever an answer ends too early, it is not taken for whole.
func TestCutAtEachByte(t *testing.T) {
	for _, whole := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 1\n\nx",
	} {
		var at atomic.Int32
		var rst atomic.Bool
		s := serve(t, func(c net.Conn) { once(whole[:at.Load()], rst.Load())(c) })
		r := newRig(t, s.addr, Config{})
		for n := range len(whole) * 2 {
			at.Store(int32(n / 2))
			rst.Store(n%2 == 1)
			want := tunnel.TargetIncomplete
			if n/2 == 0 {
				want = tunnel.TargetClosed
			}
			a := r.get("/")
			f, ok := errors.AsType[*tunnel.Failure](a.err)
			if ok && f.Cause != want || !ok && !a.has("Share-Error: "+want.String()) {
				t.Errorf("%q, reset %v: %+v", whole[:n/2], n%2 == 1, a)
			}
			if o := r.next(); o.failure == nil || o.failure.Cause != want {
				t.Errorf("%q, reset %v: Serve returned %+v", whole[:n/2], n%2 == 1, o)
			}
		}
	}
}

// A failure that is known before anything was sent takes the head's place.
func TestCutBodyKnownAtOnce(t *testing.T) {
	s := serve(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false))
	r := newRig(t, s.addr, Config{})
	failed(t, r.get("/"), tunnel.TargetBadResponse)
}

func TestAnswerIsNegotiated(t *testing.T) {
	s := serve(t, once("", false))
	r := newRig(t, s.addr, Config{})
	for accept, want := range map[string]string{
		"text/html": "text/html", "application/json": "application/problem+json", "*/*": "text/plain",
	} {
		a := r.ask(request("GET", "/", "Accept: "+accept), "")
		failed(t, a, tunnel.TargetClosed)
		if !strings.Contains(a.header, "Content-Type: "+want) || !a.has("Share-Request-Id: id-1") || !a.has("Cache-Control: no-store") {
			t.Errorf("%s: header %q", accept, a.header)
		}
	}
	a := r.ask(request("HEAD", "/"), "")
	failed(t, a, tunnel.TargetClosed)
	if a.body != "" {
		t.Errorf("HEAD has body %q", a.body)
	}
}

// Many exchanges at once share connections and never each other's bytes.
func TestManyExchanges(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			c.SetDeadline(time.Now().Add(limit)) // of one exchange, not of all
			h, err := head(r)
			if err != nil {
				return
			}
			path := strings.Fields(h)[1]
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
		}
	})
	r := newRig(t, s.addr, Config{})
	done := make(chan error, 32)
	for i := range cap(done) {
		go func() { // done is read below
			for j := range 50 {
				path := fmt.Sprintf("/%d/%d", i, j)
				if a := r.get(path); a.err != nil || a.body != path {
					done <- fmt.Errorf("%s: got %q, %v", path, a.body, a.err)
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := s.accepted(); n > cap(done) {
		t.Errorf("%d connections", n)
	}
}
