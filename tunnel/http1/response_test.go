package http1

import (
	"fmt"
	"strings"
	"testing"

	"share/tunnel"
)

func (r *Response) show() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q 1.%d body=%d", r.Status, r.Reason, r.Minor, r.ContentLength)
	for _, f := range []struct {
		is   bool
		name string
	}{{r.Chunked, "chunked"}, {r.CloseDelimited, "delimited"}, {r.Close, "close"}, {r.Interim(), "interim"}} {
		if f.is {
			b.WriteString(" " + f.name)
		}
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%s", r.Upgrade)
	}
	return b.String()
}

func TestResponseMeaning(t *testing.T) {
	tests := []struct{ name, method, in, want string }{
		{"length", "GET", ok("Content-Length: 5"), `200 "OK" 1.1 body=5`},
		{"length of 0", "GET", ok("Content-Length: 0"), `200 "OK" 1.1 body=0`},
		{"chunked", "GET", ok("Transfer-Encoding: chunked"), `200 "OK" 1.1 body=-1 chunked`},
		{"close-delimited", "GET", ok(), `200 "OK" 1.1 body=-1 delimited close`},
		{"close-delimited though kept", "GET", ok("Connection: keep-alive"), `200 "OK" 1.1 body=-1 delimited close`},
		{"close", "GET", ok("Content-Length: 5", "Connection: close"), `200 "OK" 1.1 body=5 close`},
		{"1.0", "GET", head("HTTP/1.0 200 OK", "Content-Length: 5"), `200 "OK" 1.0 body=5 close`},
		{"1.0 that is kept", "GET", head("HTTP/1.0 200 OK", "Content-Length: 5", "Connection: keep-alive"), `200 "OK" 1.0 body=5`},
		{"reason as received", "GET", head("HTTP/1.1 404  Nö  ", "Content-Length: 0"), `404 " Nö  " 1.1 body=0`},
		{"no reason", "GET", head("HTTP/1.1 404", "Content-Length: 0"), `404 "" 1.1 body=0`},
		{"HEAD", "HEAD", ok("Content-Length: 5"), `200 "OK" 1.1 body=0`},
		{"HEAD, chunked", "HEAD", ok("Transfer-Encoding: chunked"), `200 "OK" 1.1 body=0`},
		{"HEAD, nothing said", "HEAD", ok(), `200 "OK" 1.1 body=0`},
		{"method in lower case is not HEAD", "head", ok("Content-Length: 5"), `200 "OK" 1.1 body=5`},
		{"100", "GET", head("HTTP/1.1 100 Continue"), `100 "Continue" 1.1 body=0 interim`},
		{"103", "GET", head("HTTP/1.1 103 Early Hints", "Link: a"), `103 "Early Hints" 1.1 body=0 interim`},
		{"101", "GET", head("HTTP/1.1 101 x", "Connection: upgrade", "Upgrade: WebSocket"), `101 "x" 1.1 body=0 upgrade=WebSocket`},
		{"101 that does not say", "GET", head("HTTP/1.1 101 x"), `101 "x" 1.1 body=0`},
		{"426", "GET", head("HTTP/1.1 426 x", "Upgrade: a", "Content-Length: 0"), `426 "x" 1.1 body=0`},
		{"204", "GET", head("HTTP/1.1 204 x"), `204 "x" 1.1 body=0`},
		{"204 with a length of 0", "GET", head("HTTP/1.1 204 x", "Content-Length: 0"), `204 "x" 1.1 body=0`},
		{"204 that claims a body", "GET", head("HTTP/1.1 204 x", "Content-Length: 5"), `204 "x" 1.1 body=0 close`},
		{"204 that claims to be chunked", "GET", head("HTTP/1.1 204 x", "Transfer-Encoding: chunked"), `204 "x" 1.1 body=0 close`},
		{"304", "GET", head("HTTP/1.1 304 x", "Content-Length: 5"), `304 "x" 1.1 body=0`},
		{"304, chunked", "GET", head("HTTP/1.1 304 x", "Transfer-Encoding: chunked"), `304 "x" 1.1 body=0`},
		{"205", "GET", head("HTTP/1.1 205 x", "Content-Length: 0"), `205 "x" 1.1 body=0`},
	}
	var r Response
	for _, tt := range tests {
		if _, err := readResponse(&r, []byte(tt.in), tt.method); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := r.show(); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestResponseCleaned(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"space before the colon", ok("A : 1", "BB \t: 2"), "A: 1\r\nBB: 2\r\n"},
		{"framing field with a space before the colon", ok("Content-Length : 3"), "Content-Length: 3\r\n"},
		{"obs-fold", ok("A: 1", " 2", "B: 3"), "A: 1   2\r\nB: 3\r\n"},
		{"obs-fold with a tab and white space", ok("A: 1 ", "\t 2 \t"), "A: 1   \t 2\r\n"},
		{"obs-fold into an empty value", ok("A:", " 1"), "A: 1\r\n"},
		{"obs-fold of nothing", ok("A: 1", " ", "B: 2"), "A: 1\r\nB: 2\r\n"},
		{"obs-fold and a space before the colon", ok("A : 1", " b:c"), "A: 1   b:c\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nA: 1\n 2\nB: 3\r\n\n", "A: 1  2\r\nB: 3\r\n"},
		{"equal lengths", ok("Content-Length: 3", "A: 1", "content-length: 3"), "Content-Length: 3\r\nA: 1\r\n"},
		{"equal lengths in a list", ok("Content-Length: 3 , 3"), "Content-Length: 3\r\n"},
		{"folded length", ok("Content-Length:", " 3"), "Content-Length: 3\r\n"},
	}
	var r Response
	for _, tt := range tests {
		if _, err := readResponse(&r, []byte(tt.in), "GET"); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := fieldLines(r.Fields); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestForwardResponse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"fields that end here",
			ok("Connection: X-Hop, close", "A: 1", "X-Hop: 2", "Keep-Alive: 3", "Upgrade: 4", "Proxy-Authenticate: 5", "Transfer-Encoding: chunked", "Trailer: B"),
			"A: 1\r\nProxy-Authenticate: 5\r\nTrailer: B\r\n",
		},
		{"Connection names the length", ok("Connection: content-length, set-cookie", "Content-Length: 5", "Set-Cookie: a"), "Content-Length: 5\r\nSet-Cookie: a\r\n"},
		{"malformed option", ok("Connection: a b, C", "C: 1", "D: 2"), "D: 2\r\n"},
		{"101", head("HTTP/1.1 101 x", "Upgrade: a", "Connection: upgrade", "B: 1"), "Upgrade: a\r\nB: 1\r\n"},
	}
	var r Response
	for _, tt := range tests {
		if _, err := readResponse(&r, []byte(tt.in), "GET"); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := fieldLines(r.Forward(nil)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What Connection names does not go on in the trailers either, where the body
// has taken the head's place in the buffer.
func TestForwardTrailers(t *testing.T) {
	trailers := tunnel.Header{}
	trailers.Add("x-hop", "1")
	trailers.Add("X-Sum", "2")
	trailers.Add("Keep-Alive", "3")
	const fields, want = "Connection: X-Hop, X-Other", "X-Sum: 2\r\n"
	var q Request
	in := []byte(post("Transfer-Encoding: chunked", fields))
	if _, err := readRequest(&q, in); err != nil {
		t.Fatal(err)
	}
	if got := fieldLines(q.ForwardTrailers(nil, trailers)); got != want {
		t.Errorf("request: got %q, want %q", got, want)
	}
	var r Response
	in = []byte(ok("Transfer-Encoding: chunked", fields))
	if _, err := readResponse(&r, in, "GET"); err != nil {
		t.Fatal(err)
	}
	for i := range in {
		in[i] = 'x'
	}
	if got := fieldLines(r.ForwardTrailers(nil, trailers)); got != want {
		t.Errorf("response: got %q, want %q", got, want)
	}
}

// The head is the same whether it comes at once or byte by byte.
func TestResponseHeadByteByByte(t *testing.T) {
	for _, tt := range responseRules {
		in := []byte(tt.input)
		var r Response
		n, err := 0, error(nil)
		for i := 0; i < len(in) && n == 0 && err == nil; i++ {
			n, err = ResponseHead(in[:i+1], i)
		}
		if n > 0 {
			err = r.Parse(in[:n], []byte("GET"))
		}
		got := causeOf(t, err)
		if got != tt.want || got == taken && n != len(in) {
			t.Errorf("%s: got %v after %d bytes, want %v", tt.rule, got, n, tt.want)
		}
	}
}

func TestResponseHeadEndsAtTheFirstEmptyLine(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{"HTTP/1.1 200 OK\n\nbody\r\n\r\n", 17},
		{"HTTP/1.1 200 OK\n\r\nbody\r\n\r\n", 18},
		{"HTTP/1.1 200 OK\r\n\nbody", 18},
		{"HTTP/1.1 200 OK\r\n\r\nbody\n\n", 19},
		{"HTTP/1.1 200 OK\r\n\r", 0},
		{"HTTP/1.1 200 OK\r\n \r\n", 0},
		{"HTTP/", 0},
		{"", 0},
	}
	for _, tt := range tests {
		if got, err := ResponseHead([]byte(tt.in), 0); got != tt.want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestResponseHeadFailsEarly(t *testing.T) {
	for _, in := range []string{"x", "HTTP/2", "HTTP/1.1 x\r\n", "HTTP/1.1 700 x\n", "\n"} {
		if _, err := ResponseHead([]byte(in), 0); causeOf(t, err) != tunnel.TargetBadResponse {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

func TestAsked(t *testing.T) {
	tests := []struct {
		asked, chosen string
		want          bool
	}{
		{"websocket", "websocket", true},
		{"websocket", "WebSocket", true},
		{"a, b/1, c", "b/1", true},
		{"a, b/1, c", "c, a", true},
		{"a, b/1", "b", false},
		{"a", "a, b", false},
		{"a", "", false},
		{"a", ",", false},
		{"", "a", false},
	}
	for _, tt := range tests {
		if got := Asked([]byte(tt.asked), []byte(tt.chosen)); got != tt.want {
			t.Errorf("Asked(%q, %q) = %v", tt.asked, tt.chosen, got)
		}
	}
}
