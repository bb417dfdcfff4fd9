package tunnel

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
)

// BenchmarkLink is what a frame costs that goes out by the link: header and
// body as the multiplexer writes them, to a peer who reads.
func BenchmarkLink(b *testing.B) {
	for _, size := range []int{0, 512, maxChunk} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			a, r := connPair(b)
			var wg sync.WaitGroup
			wg.Go(func() { io.Copy(io.Discard, r) })
			l := newLink(a)
			head, body := muxFrame(muxData, 0, 2, size), make([]byte, size)
			b.SetBytes(int64(muxHeaderLen + size))
			b.ReportAllocs()
			for b.Loop() {
				l.Write(head)
				if size > 0 {
					l.Write(body)
				}
			}
			if err := l.Flush(); err != nil {
				b.Error(err)
			}
			b.StopTimer()
			l.Close()
			r.Close()
			wg.Wait()
		})
	}
}

// BenchmarkExchange is what a small request and its answer cost, both ends and
// loopback TCP included.
func BenchmarkExchange(b *testing.B) {
	for _, bench := range []struct{ goroutines, size int }{{1, 1 << 10}, {64, 1 << 10}, {64, 64 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", bench.goroutines, bench.size), func(b *testing.B) {
			body := make([]byte, bench.size)
			response := exampleResponse(200)
			response.ContentLength = int64(len(body))
			_, relay := tcpPair(b, func(x *Exchange) {
				x.SendResponse(response)
				x.Write(body)
				x.End(nil)
			})
			request := exampleRequest()
			request.ContentLength = 0
			work := make(chan bool)
			var wg sync.WaitGroup
			for range bench.goroutines {
				wg.Go(func() {
					for range work {
						if err := exchange(relay, request); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			for b.Loop() {
				work <- true
			}
			close(work)
			wg.Wait()
		})
	}
}

// exchange carries a request without a body.
func exchange(s *Session, r *Request) error {
	x, err := s.Open(context.Background())
	if err != nil {
		return err
	}
	defer x.Close()
	if err := x.SendRequest(r); err != nil {
		return err
	}
	if err := x.End(nil); err != nil {
		return err
	}
	if _, err := x.ReceiveResponse(); err != nil {
		return err
	}
	for {
		if _, err := x.Data(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// BenchmarkFrames is what the heads of an exchange cost to write and to read.
func BenchmarkFrames(b *testing.B) {
	request, response := exampleRequest(), exampleResponse(200)
	for range 10 {
		request.Header.Add("Accept-Something", "a value of usual length")
		response.Header.Add("Content-Something", "a value of usual length")
	}
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendRequest(buf[:0], 1, request)
			buf = appendResponse(buf, response)
		}
		b.SetBytes(int64(len(buf)))
	})
	req, resp := appendRequest(nil, 1, request)[frameHeaderLen:], appendResponse(nil, response)[frameHeaderLen:]
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(req) + len(resp)))
		var request Request
		var response Response
		for b.Loop() {
			if _, err := decodeRequest(req, &request); err != nil {
				b.Fatal(err)
			}
			if err := decodeResponse(resp, false, &response); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("guard", func(b *testing.B) {
		batch := make([]byte, 0, linkBatch)
		for len(batch) < linkBatch-600 {
			batch = append(batch, muxBytes(2, make([]byte, 512))...)
		}
		var g guard
		b.ReportAllocs()
		b.SetBytes(int64(len(batch)))
		for b.Loop() {
			if err := g.feed(batch, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
