package http1

import (
	"bytes"
	"testing"

	"share/tunnel"
)

var (
	browserRequest = []byte(head(
		"GET /api/items?page=2&sort=name HTTP/1.1",
		"Host: quiet-otter-4821.share.example.com",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"Referer: https://quiet-otter-4821.share.example.com/items",
		"Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark",
		"Sec-Fetch-Dest: document",
		"Sec-Fetch-Mode: navigate",
		"Sec-Fetch-Site: same-origin",
		"Connection: keep-alive",
	))
	smallRequest   = []byte(head("GET /1k HTTP/1.1", "Host: Bench.localhost:7070", "Connection: keep-alive"))
	upgradeRequest = []byte(head("GET /hmr HTTP/1.1", "Host: a.localhost", "Connection: Upgrade", "Upgrade: websocket, h2c"))
	appResponse    = []byte(head(
		"HTTP/1.1 200 OK",
		"Server: nginx/1.29.0",
		"Date: Sun, 22 Nov 2026 18:00:00 GMT",
		"Content-Type: application/json; charset=utf-8",
		"Content-Length: 1024",
		"Connection: keep-alive",
		"ETag: \"65f0a1b2-400\"",
		"Cache-Control: no-cache",
	))
)

// A usual message costs no allocation once its value has been used.
func TestParsingDoesNotAllocate(t *testing.T) {
	var q Request
	var p Response
	var c Chunked
	var h tunnel.Header
	body := []byte("400\r\n" + string(make([]byte, 0x400)) + "\r\n0\r\n\r\n")
	out, host := make([]byte, 0, 4096), []byte("a.localhost.:7070")
	tests := []struct {
		name string
		run  func()
	}{
		{"browser request", func() { parseRequest(t, &q, browserRequest) }},
		{"small request", func() { parseRequest(t, &q, smallRequest) }},
		{"upgrade less h2c", func() { parseRequest(t, &q, upgradeRequest) }},
		{"forward", func() { h = q.Forward(h[:0]) }},
		{"response", func() { parseResponse(t, &p, appResponse) }},
		{"chunked body", func() {
			c.Reset(true)
			for n := 0; n < len(body); {
				_, k, _ := c.Next(body[n:])
				n += k
			}
		}},
		{"chunk and its end", func() { out = AppendLastChunk(AppendChunk(out[:0], []byte("hello")), nil) }},
		{"host", func() { CanonicalHost(host) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.run); got != 0 {
			t.Errorf("%s: %v allocations", tt.name, got)
		}
	}
}

func parseRequest(t testing.TB, r *Request, in []byte) {
	if _, err := readRequest(r, in); err != nil {
		t.Fatal(err)
	}
}

func parseResponse(t testing.TB, r *Response, in []byte) {
	if _, err := readResponse(r, in, "GET"); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, bb := range []struct {
		name string
		in   []byte
	}{{"small", smallRequest}, {"browser", browserRequest}} {
		b.Run(bb.name, func(b *testing.B) {
			var r Request
			b.SetBytes(int64(len(bb.in)))
			b.ReportAllocs()
			for b.Loop() {
				parseRequest(b, &r, bb.in)
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	var r Request
	var h tunnel.Header
	parseRequest(b, &r, browserRequest)
	b.ReportAllocs()
	for b.Loop() {
		h = r.Forward(h[:0])
	}
}

func BenchmarkResponse(b *testing.B) {
	var r Response
	b.SetBytes(int64(len(appResponse)))
	b.ReportAllocs()
	for b.Loop() {
		parseResponse(b, &r, appResponse)
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, bb := range []struct {
		name string
		size int
	}{{"64B", 64}, {"16KiB", 16 << 10}} {
		b.Run(bb.name, func(b *testing.B) {
			in := AppendLastChunk(bytes.Repeat(AppendChunk(nil, make([]byte, bb.size)), 16), nil)
			var c Chunked
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(true)
				for n := 0; n < len(in); {
					_, k, _ := c.Next(in[n:])
					n += k
				}
			}
		})
	}
}

func BenchmarkCanonicalHost(b *testing.B) {
	host := []byte("quiet-otter-4821.share.example.com:443")
	b.ReportAllocs()
	for b.Loop() {
		CanonicalHost(host)
	}
}
