//go:build linux

package attacks

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A visitor2 is a connection of HTTP/2 whose frames are made by hand.
type visitor2 struct {
	net.Conn
	*http2.Framer
	block []byte // a GET of the neighbour's
	next  uint32
}

// visit2 connects with prior knowledge from the siege's address number host.
func (s *siege) visit2(host int) *visitor2 {
	s.Helper()
	nc := s.must("http", host)
	if nc == nil {
		s.FailNow()
	}
	v := &visitor2{Conn: nc, Framer: http2.NewFramer(nc, nc), next: 1, block: head("GET", "neighbour", "/")}
	v.AllowIllegalWrites = true
	io.WriteString(nc, http2.ClientPreface)
	v.WriteSettings()
	return v
}

// head is the header block of a request, which uses no table.
func head(method, name, path string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", name + ".localhost"}, {":path", path}} {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
	}
	return b.Bytes()
}

// calmed reads to the end of the connection, and reports whether it was that
// the visitor should calm down.
func (v *visitor2) calmed() bool {
	for {
		f, err := v.ReadFrame()
		if err != nil {
			return false
		}
		if f, ok := f.(*http2.GoAwayFrame); ok && f.ErrCode == http2.ErrCodeEnhanceYourCalm {
			return true
		}
	}
}

// calms floods one connection after the other with what next sends, total times
// in all, and wants each to be told to calm down. It returns how many there were.
func (s *siege) calms(total int, next func(v *visitor2) error) (connections int) {
	s.Helper()
	for sent := 0; sent < total; connections++ {
		v := s.visit2(connections)
		told := make(chan bool, 1)
		go func() { told <- v.calmed() }() // ended by the connection's end
		before := sent
		for sent < total && next(v) == nil {
			sent++
		}
		if sent == total && sent-before < total/4 {
			v.Close() // the last has not sent enough to be told
			<-told
			continue
		}
		if !<-told {
			s.Errorf("connection %d is not told to calm down after %d", connections, sent-before)
			return connections
		}
		v.Close()
	}
	return connections
}

// rapidResets opens streams and resets them at once (CVE-2023-44487).
func rapidResets(s *siege) {
	n := s.calms(scale(100_000, 20_000), func(v *visitor2) error {
		v.WriteHeaders(http2.HeadersFrameParam{StreamID: v.next, BlockFragment: v.block, EndStream: true, EndHeaders: true})
		err := v.WriteRSTStream(v.next, http2.ErrCodeCancel)
		v.next += 2
		return err
	})
	s.Logf("they took %d connections", n)
}

// continuations sends header blocks that do not end (CVE-2024-27316).
func continuations(s *siege) {
	piece := bytes.Repeat([]byte{0}, 64)
	n := s.calms(scale(100_000, 20_000), func(v *visitor2) error {
		if v.next == 1 {
			v.WriteHeaders(http2.HeadersFrameParam{StreamID: v.next, BlockFragment: v.block})
			v.next += 2
		}
		return v.WriteContinuation(1, false, piece)
	})
	s.Logf("they took %d connections", n)
}

// bombs sends text again and again, and wants an answer of the status or the
// connection's end.
func (s *siege) bombs(text string, status int) {
	s.Helper()
	n := scale(2000, 300)
	var answered, wrong atomic.Int64
	crowd(n, func(i int) {
		nc := s.must("http", i)
		if nc == nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, text) // cut when the relay has had enough
		switch got, _, err := answer(nc); {
		case err == nil && got == status:
			answered.Add(1)
		case err == nil:
			wrong.Add(1)
		}
	})
	s.Logf("%d of %d were answered with %d", answered.Load(), n, status)
	if wrong.Load() > 0 || answered.Load() < int64(n/2) {
		s.Errorf("%d of %d were answered with %d, %d otherwise", answered.Load(), n, status, wrong.Load())
	}
}

// headerBombs are heads that are large, and those that HPACK makes large.
func headerBombs(s *siege) {
	s.bombs("GET / HTTP/1.1\r\nHost: neighbour.localhost\r\n"+strings.Repeat("X-Large: "+strings.Repeat("x", 1000)+"\r\n", 200)+"\r\n", 431)
	value := strings.Repeat("v", 3000)
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.WriteField(hpack.HeaderField{Name: "a", Value: value})
	define := append(head("GET", "neighbour", "/"), b.Bytes()...)
	b.Reset()
	for range 4000 {
		e.WriteField(hpack.HeaderField{Name: "a", Value: value}) // a byte each
	}
	bomb := append(head("GET", "neighbour", "/"), b.Bytes()...)
	for i := range scale(500, 50) {
		v := s.visit2(i)
		v.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: define, EndStream: true, EndHeaders: true})
		v.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: bomb, EndStream: true, EndHeaders: true})
		if !v.calmed() {
			s.Errorf("a block that unpacks to 12 MB is taken")
		}
		v.Close()
	}
}

// urlBombs are request-targets of a MiB.
func urlBombs(s *siege) {
	s.bombs("GET /"+strings.Repeat("u", 1<<20)+" HTTP/1.1\r\nHost: neighbour.localhost\r\n\r\n", 414)
}
