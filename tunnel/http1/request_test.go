package http1

import (
	"fmt"
	"strings"
	"testing"

	"share/tunnel"
)

// show renders what a request means, for a comparison at a glance.
func (r *Request) show() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s|%d 1.%d", r.Method, r.Target, r.Name, r.Port, r.Minor)
	if r.Body {
		fmt.Fprintf(&b, " body=%d", r.ContentLength)
	}
	for _, f := range []struct {
		is   bool
		name string
	}{{r.Chunked, "chunked"}, {r.Close, "close"}, {r.Expect, "expect"}, {r.Trailers, "trailers"}} {
		if f.is {
			b.WriteString(" " + f.name)
		}
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%s", r.Upgrade)
	}
	return b.String()
}

func TestRequestMeaning(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", get(), "GET / a|-1 1.1"},
		{"empty line before it", "\r\n" + get(), "GET / a|-1 1.1"},
		{"host made canonical", head("GET / HTTP/1.1", "Host: Web.LocalHost.:7070"), "GET / web.localhost|7070 1.1"},
		{"host of IPv6", head("GET / HTTP/1.1", "Host: [0:0::1]:80"), "GET / ::1|80 1.1"},
		{"target as received", head("GET //a/./%2e?b=/../c HTTP/1.1", "Host: a"), "GET //a/./%2e?b=/../c a|-1 1.1"},
		{"absolute-form", head("GET http://A:80/b?c HTTP/1.1", "Host: a"), "GET /b?c a|-1 1.1"},
		{"absolute-form, no path", head("GET http://A HTTP/1.1", "Host: A"), "GET / a|-1 1.1"},
		{"absolute-form, no path but a query", head("GET http://A?b/c HTTP/1.1", "Host: A"), "GET /?b/c a|-1 1.1"},
		{"absolute-form with OPTIONS", head("OPTIONS http://a HTTP/1.1", "Host: a"), "OPTIONS * a|-1 1.1"},
		{"absolute-form with OPTIONS of a path", head("OPTIONS http://a/ HTTP/1.1", "Host: a"), "OPTIONS / a|-1 1.1"},
		{"asterisk-form", head("OPTIONS * HTTP/1.1", "Host: a"), "OPTIONS * a|-1 1.1"},

		{"length", post("Content-Length: 5"), "POST / a|-1 1.1 body=5"},
		{"length of 0", post("Content-Length: 0"), "POST / a|-1 1.1 body=0"},
		{"chunked", post("Transfer-Encoding: Chunked"), "POST / a|-1 1.1 body=-1 chunked"},

		{"close", get("Connection: Close"), "GET / a|-1 1.1 close"},
		{"close among others", get("Connection: x,", "Connection: ,keep-alive , CLOSE"), "GET / a|-1 1.1 close"},
		{"1.0", head("GET / HTTP/1.0", "Host: a"), "GET / a|-1 1.0 close"},
		{"1.0 that is kept", head("GET / HTTP/1.0", "Host: a", "Connection: Keep-Alive"), "GET / a|-1 1.0"},
		{"1.0 that is kept and closed", head("GET / HTTP/1.0", "Host: a", "Connection: Keep-Alive, close"), "GET / a|-1 1.0 close"},
		{"1.2", head("GET / HTTP/1.2", "Host: a"), "GET / a|-1 1.1"},

		{"expect", post("Content-Length: 5", "Expect: 100-Continue"), "POST / a|-1 1.1 body=5 expect"},
		{"expect without a body", post("Expect: 100-continue"), "POST / a|-1 1.1"},
		{"expect something else", post("Content-Length: 5", "Expect: 100-continue, x"), "POST / a|-1 1.1 body=5"},
		{"expect in 1.0", head("POST / HTTP/1.0", "Host: a", "Content-Length: 5", "Expect: 100-continue"), "POST / a|-1 1.0 body=5 close"},

		{"TE", get("TE: gzip;q=0.5, Trailers"), "GET / a|-1 1.1 trailers"},
		{"TE without trailers", get("TE: gzip"), "GET / a|-1 1.1"},

		{"upgrade", get("Connection: keep-alive, Upgrade", "Upgrade: websocket"), "GET / a|-1 1.1 upgrade=websocket"},
		{"upgrade not in Connection", get("Upgrade: websocket"), "GET / a|-1 1.1"},
		{"upgrade in Connection alone", get("Connection: upgrade"), "GET / a|-1 1.1"},
		{"upgrade in 1.0", head("GET / HTTP/1.0", "Host: a", "Connection: upgrade", "Upgrade: x"), "GET / a|-1 1.0 close"},
		{"upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: H2C", "HTTP2-Settings: AAMAAABkAAQAoAAA"), "GET / a|-1 1.1"},
		{"upgrade to h2c or else", get("Connection: upgrade", "Upgrade: h2c, websocket,, x/1"), "GET / a|-1 1.1 upgrade=websocket, x/1"},
		{"upgrade in two fields", get("Connection: upgrade", "Upgrade: a", "X: y", "Upgrade: b,c"), "GET / a|-1 1.1 upgrade=a, b, c"},
		{"upgrade to h2c in two fields", get("Connection: upgrade", "Upgrade: h2c", "Upgrade: h2c"), "GET / a|-1 1.1"},
	}
	var r Request // used again and again: nothing of one may show in the next
	for _, tt := range tests {
		if _, err := readRequest(&r, []byte(tt.in)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := r.show(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// fieldLines is a header as lines, for comparison.
func fieldLines(h tunnel.Header) string { return string(AppendFields(nil, h)) }

func TestRequestFieldsAsReceived(t *testing.T) {
	in := "GET / HTTP/1.1\r\nhOST:\ta \r\nX: 1\r\nSet-Cookie: a\r\nx:2\r\nSet-Cookie:  b  c\t\r\nE:\r\n\r\n"
	var r Request
	if _, err := readRequest(&r, []byte(in)); err != nil {
		t.Fatal(err)
	}
	want := "hOST: a\r\nX: 1\r\nSet-Cookie: a\r\nx: 2\r\nSet-Cookie: b  c\r\nE: \r\n"
	if got := fieldLines(r.Fields); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForwardRequest(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"fields that end here",
			get("Connection: close, X-Hop, TE", "A: 1", "x-hop: 2", "Keep-Alive: 3", "Proxy-Connection: 4", "TE: trailers",
				"HTTP2-Settings: 5", "Upgrade: websocket", "Proxy-Authorization: 6", "B: 7", "X-HOP: 8"),
			"Host: a\r\nA: 1\r\nProxy-Authorization: 6\r\nB: 7\r\n",
		},
		{"chunked", post("Transfer-Encoding: chunked", "Trailer: X"), "Host: a\r\nTrailer: X\r\n"},
		{"length", post("Content-Length: 5"), "Host: a\r\nContent-Length: 5\r\n"},
		{
			"upgrade",
			get("Connection: upgrade", "Upgrade: h2c, Websocket", "A: 1", "Upgrade: b"),
			"Host: a\r\nUpgrade: Websocket, b\r\nA: 1\r\n",
		},
		{"upgrade to h2c", get("Connection: upgrade, http2-settings", "Upgrade: h2c", "HTTP2-Settings: x"), "Host: a\r\n"},
	}
	var r Request
	for _, tt := range tests {
		if _, err := readRequest(&r, []byte(tt.in)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := fieldLines(r.Forward(nil)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A head that comes byte by byte is found where it ends, and one that can be
// none is refused no later than it can be known.
func TestRequestHeadByteByByte(t *testing.T) {
	for _, tt := range requestRules {
		in := []byte(tt.input)
		var r Request
		n, err := 0, error(nil)
		for i := 0; i < len(in) && n == 0 && err == nil; i++ {
			n, err = RequestHead(in[:i+1], i)
		}
		if n > 0 {
			err = r.Parse(in[:n])
		}
		got := causeOf(t, err)
		if (got == taken) != (tt.want == taken) || tt.want == taken && n != len(in) {
			t.Errorf("%s: got %v after %d bytes, want %v", tt.rule, got, n, tt.want)
		}
	}
}

func TestRequestHeadFailsEarly(t *testing.T) {
	tests := []struct {
		name, in string
		want     tunnel.Cause
	}{
		{"nothing", "", taken},
		{"half an empty line", "\r", taken},
		{"empty line", "\r\n", taken},
		{"method", "GET", taken},
		{"target", "GET /", taken},
		{"request line", "GET / HTTP/1.1\r\n", taken},
		{"half a field", "GET / HTTP/1.1\r\nHo", taken},
		{"all but a LF", "GET / HTTP/1.1\r\nHost: a\r\n\r", taken},
		{"TLS", "\x16", e400},
		{"NUL", "\x00", e400},
		{"space", " ", e400},
		{"empty line, then garbage", "\r\n\"", e400},
		{"no method", "{\"a\":1", e400},
		{"HTTP/0.9", "GET /\r\n", e400},
		{"SMTP", "EHLO a\r\n", e400},
		{"HTTP/2", "PRI * HTTP/2.0\r\n", e505},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\n", e501},
		{"target", "GET a HTTP/1.1\r\n", e400},
		{"bare LF", "GET / HTTP/1.1\n", e400},
		{"bare CR", "GET / HTTP/1.1\rX", e400},
		{"control byte in a field", "GET / HTTP/1.1\r\nX: \x01", e400},
	}
	for _, tt := range tests {
		n, err := RequestHead([]byte(tt.in), 0)
		if got := causeOf(t, err); got != tt.want || n != 0 {
			t.Errorf("%s: got %d, %v, want 0, %v", tt.name, n, got, tt.want)
		}
	}
}

func TestBeginsHead(t *testing.T) {
	for in, want := range map[string]bool{
		"HEAD / HTTP/1.1\r\nHost": true, "\r\nHEAD ": true, "HEAD \x00": true,
		"": false, "HEAD": false, "head /": false, "HEADS /": false, " HEAD /": false, "\r\n\r\nHEAD /": false, "GET / HTTP/1.1\r\nHEAD ": false,
	} {
		if got := BeginsHead([]byte(in)); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestParseRefusesWhatIsNoWholeHead(t *testing.T) {
	var q Request
	var p Response
	for _, in := range []string{"", "\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n", get() + "x"} {
		if err := q.Parse([]byte(in)); err == nil {
			t.Errorf("request %q taken", in)
		}
	}
	for _, in := range []string{"", "\r\n", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nX: y\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n", ok() + "x"} {
		if err := p.Parse([]byte(in), []byte("GET")); err == nil {
			t.Errorf("response %q taken", in)
		}
	}
}
