package edge

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// BenchmarkIdleVisitors shows what a visitor costs whose connection waits for
// its next request: of 10,000, each of which has had one answered. It does not
// count what the kernel keeps for a socket.
func BenchmarkIdleVisitors(b *testing.B) {
	b.Run("HTTP1", func(b *testing.B) { benchmarkIdle(b, (*Edge).Serve, ask) })
	b.Run("HTTP2", func(b *testing.B) { benchmarkIdle(b, (*Edge).Serve2, askSecond) })
}

type serveFunc = func(e *Edge, nc, raw net.Conn, first []byte, covers func(host string) bool)

func benchmarkIdle(b *testing.B, serve serveFunc, ask func(*testing.B, net.Conn)) {
	const visitors = 10_000
	s := newStub(b, func(x *tunnel.Exchange) { respond(x, 200, "ok") }, nil)
	for b.Loop() {
		before, goroutines := inUse(), runtime.NumGoroutine()
		conns := make([]net.Conn, visitors)
		for i := range conns {
			ours, theirs := net.Pipe()
			conns[i] = ours
			s.wg.Go(func() { serve(s.Edge, theirs, theirs, nil, nil) })
			ask(b, ours)
		}
		until(b, "parked streams' end", func() bool {
			for _, c := range s.all(nil) {
				if c, ok := c.(*conn2); ok {
					c.mu.Lock()
					parked := len(c.parked)
					c.mu.Unlock()
					if parked > 0 {
						return false
					}
				}
			}
			return true
		})
		b.ReportMetric(float64(inUse()-before)/visitors, "B/visitor")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/visitors, "goroutines/visitor")
		for _, c := range conns {
			c.Close()
		}
		until(b, "the connections' end", func() bool { return len(s.all(nil)) == 0 })
	}
}

// askSecond has one request of HTTP/2 answered over nc.
func askSecond(b *testing.B, nc net.Conn) {
	out := append([]byte(preface2), appendSettings(nil)...)
	out = appendFrameHeader(out, frameHeaders, flagEndHeaders|flagEndStream, 1, len(heads[0]))
	go nc.Write(append(out, heads[0]...)) // read at once, or the pipe is closed
	for head := make([]byte, frameHeaderLen+maxFrame); ; {
		if _, err := io.ReadFull(nc, head[:frameHeaderLen]); err != nil {
			b.Fatal(err)
		}
		f, n := parseFrameHeader(head)
		if _, err := io.ReadFull(nc, head[:n]); err != nil {
			b.Fatal(err)
		}
		if f.typ == frameData && f.flags&flagEndStream != 0 {
			return
		}
	}
}

// inUse is what heap and stacks take.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// ask has one request answered over nc.
func ask(b *testing.B, nc net.Conn) {
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(nc, 1<<10), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRequest carries small requests over one connection.
func BenchmarkRequest(b *testing.B) {
	s := newStub(b, func(x *tunnel.Exchange) { respond(x, 200, "ok", "Content-Length", "2") }, func(cfg *Config) { cfg.Logger = nil })
	v := s.visit()
	request := []byte("GET / HTTP/1.1\r\nHost: x.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	b.ReportAllocs()
	for b.Loop() {
		v.Write(request)
		if _, err := io.ReadFull(v.r, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest2 carries small requests over one connection of HTTP/2, so
// many at a time.
func BenchmarkRequest2(b *testing.B) {
	for _, streams := range []int{1, 32} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			s := newStub(b, func(x *tunnel.Exchange) { respond(x, 200, "ok", "Content-Length", "2") }, func(cfg *Config) { cfg.Logger = nil })
			v := s.visit2()
			var block bytes.Buffer
			encoder := hpack.NewEncoder(&block)
			var next uint32 = 1
			request := func(out []byte) []byte {
				block.Reset()
				for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x.test"}, {":path", "/"}, {"user-agent", "bench"}, {"accept", "*/*"}} {
					encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
				}
				out = appendFrameHeader(out, frameHeaders, flagEndStream|flagEndHeaders, next, block.Len())
				next += 2
				return append(out, block.Bytes()...)
			}
			var out []byte
			head := make([]byte, frameHeaderLen+maxFrame)
			// answers reads as many.
			answers := func(n int) {
				for n > 0 {
					io.ReadFull(v.Conn.(*rawVisitor).r, head[:frameHeaderLen])
					f, size := parseFrameHeader(head)
					if _, err := io.ReadFull(v.Conn.(*rawVisitor).r, head[:size]); err != nil {
						b.Fatal(err)
					}
					if f.typ == frameData && f.flags&flagEndStream != 0 {
						n--
					}
				}
			}
			v.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow})
			v.framer.WriteWindowUpdate(0, maxWindow-firstWindow)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				out = request(out)
				if i%streams == streams-1 {
					v.Write(out)
					out = out[:0]
					answers(streams)
				}
			}
		})
	}
}
