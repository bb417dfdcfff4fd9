package http1

import (
	"errors"
	"io"
	"testing"

	"share/tunnel"
)

func TestChunkedBody(t *testing.T) {
	tests := []struct{ name, in, body, trailers, rest string }{
		{"empty", "0\r\n\r\n", "", "", ""},
		{"chunks", "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", "hello0123456789", "", ""},
		{"data that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", "", ""},
		{"next message behind it", "1\r\na\r\n0\r\n\r\nGET /", "a", "", "GET /"},
		{"trailers", "1\r\na\r\n0\r\nA: 1\r\nb:\t2 \r\n\r\nGET /", "a", "A: 1\r\nb: 2\r\n", "GET /"},
	}
	for _, tt := range tests {
		body, trailers, n, err := decode(false, []byte(tt.in))
		if string(body) != tt.body || fieldLines(trailers) != tt.trailers || tt.in[n:] != tt.rest || err != io.EOF {
			t.Errorf("%s: got %q, %q, rest %q, %v", tt.name, body, trailers, tt.in[n:], err)
		}
	}
}

// A cut body is never whole, wherever it is cut.
func TestChunkedBodyCut(t *testing.T) {
	in := "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nA: 1\r\n\r\n"
	for i := range len(in) {
		if _, _, n, err := decode(false, []byte(in[:i])); err != nil || n != i {
			t.Errorf("cut at %d: consumed %d, %v", i, n, err)
		}
	}
}

func TestChunkedDataIsNotCopied(t *testing.T) {
	buf := []byte("5\r\nhello\r\n")
	var c Chunked
	data, n, err := c.Next(buf)
	if string(data) != "hello" || n != 8 || err != nil {
		t.Fatalf("got %q, %d, %v", data, n, err)
	}
	if &data[0] != &buf[3] {
		t.Error("data is a copy")
	}
	if cap(data) != len(data) {
		t.Error("an append to data would write into the buffer")
	}
}

func TestChunkedKeepsItsEnd(t *testing.T) {
	var c Chunked
	for _, in := range []string{"0\r\n\r\nX", "X", ""} {
		data, _, err := c.Next([]byte(in))
		if len(data) > 0 || err != io.EOF {
			t.Errorf("%q: got %q, %v, want EOF", in, data, err)
		}
	}
	c.Reset(false)
	_, _, first := c.Next([]byte("x"))
	_, n, err := c.Next([]byte("0\r\n\r\n"))
	if first == nil || !errors.Is(err, first) || n != 0 {
		t.Errorf("got %v, %d, then %v; want the same error", first, n, err)
	}
	c.Reset(true)
	if data, _, err := c.Next([]byte("1\r\na")); string(data) != "a" || err != nil {
		t.Errorf("after Reset: got %q, %v", data, err)
	}
}

func TestAppendChunks(t *testing.T) {
	out := AppendChunk(nil, []byte("hello"))
	out = AppendChunk(out, nil)
	out = AppendChunk(out, []byte("0123456789"))
	out = AppendLastChunk(out, tunnel.Header{{Name: []byte("A"), Value: []byte("1")}})
	want := "5\r\nhello\r\na\r\n0123456789\r\n0\r\nA: 1\r\n\r\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestAppendHead(t *testing.T) {
	out := AppendRequestLine(nil, []byte("GET"), []byte("/a"))
	out = AppendField(out, "Host", []byte("a"))
	out = AppendField(out, "X", "y")
	out = AppendStatusLine(out, 200, nil)
	want := "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\nHTTP/1.1 200 \r\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}
