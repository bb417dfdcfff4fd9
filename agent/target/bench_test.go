package target

import (
	"bytes"
	"io"
	"net"
	"testing"

	"share/tunnel"
)

// answers is a target that allocates nothing: it answers each read that ends a
// request's head.
func answers(reply []byte) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 16<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				if _, err := c.Write(reply); err != nil {
					return
				}
			}
		}
	}
}

func reply1K() []byte {
	return append([]byte("HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n"+
		"Content-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"), bytes.Repeat([]byte{'x'}, 1024)...)
}

func benchmarkGet(b *testing.B, relay *tunnel.Session, q *tunnel.Request) {
	b.ReportAllocs()
	for b.Loop() {
		x, err := relay.Open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := x.SendRequest(q); err != nil {
			b.Fatal(err)
		}
		if err := x.End(nil); err != nil {
			b.Fatal(err)
		}
		r, err := x.ReceiveResponse()
		if err != nil || r.Status != 200 {
			b.Fatal(r, err)
		}
		for err == nil {
			_, err = x.Data()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		x.Close()
	}
}

// BenchmarkGet is a usual request over a session; what it costs more than
// BenchmarkSession is the target's share.
func BenchmarkGet(b *testing.B) {
	s := serve(b, answers(reply1K()))
	r := newRig(b, s.addr, Config{})
	benchmarkGet(b, r.relay, request("GET", "/", "User-Agent: bench", "Accept: */*"))
}

// BenchmarkSession is the same answered by the handler itself.
func BenchmarkSession(b *testing.B) {
	body := bytes.Repeat([]byte{'x'}, 1024)
	resp := &tunnel.Response{Status: 200, Reason: []byte("OK"), ContentLength: 1024}
	resp.Header.Add("Content-Length", "1024")
	relay := session(b, func(x *tunnel.Exchange) {
		x.SendResponse(resp)
		x.Write(body)
		x.End(nil)
	})
	benchmarkGet(b, relay, request("GET", "/", "User-Agent: bench", "Accept: */*"))
}
