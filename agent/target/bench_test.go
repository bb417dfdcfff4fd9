package target

import (
	"bufio"
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
	r := newRig(b, s.addr, Config{OnSymptom: func(s Symptom) { b.Error(s) }})
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

// BenchmarkDownload is a body of 16 MiB.
func BenchmarkDownload(b *testing.B) {
	const size = 16 << 20
	reply := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n"), make([]byte, size)...)
	s := serve(b, answers(reply))
	r := newRig(b, s.addr, Config{})
	b.SetBytes(size)
	benchmarkGet(b, r.relay, request("GET", "/"))
}

// BenchmarkUpload is a body of 16 MiB.
func BenchmarkUpload(b *testing.B) {
	const size = 16 << 20
	s := serve(b, func(c net.Conn) {
		r := bufio.NewReaderSize(c, 64<<10)
		for {
			if _, err := head(r); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, r, size); err != nil {
				return
			}
			io.WriteString(c, ok)
		}
	})
	r := newRig(b, s.addr, Config{})
	body := make([]byte, 16<<10)
	q := request("POST", "/", "Content-Length: 16777216")
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		x, err := r.relay.Open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		x.SendRequest(q)
		for range size / len(body) {
			if _, err := x.Write(body); err != nil {
				b.Fatal(err)
			}
		}
		x.End(nil)
		if a := receive(x); a.err != nil || a.body != "ok" {
			b.Fatal(a)
		}
		x.Close()
	}
}
