package clients

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawTarget answers each request with the bytes it was told, and remembers
// what it saw.
type rawTarget struct {
	addr string

	mu       sync.Mutex
	response string    // guarded by mu
	seen     []message // since the response was set; guarded by mu
}

func newRawTarget(t *testing.T) *rawTarget {
	ln := listen(t)
	target := &rawTarget{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { target.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close() }) // its connections end with their peers
	return target
}

// serve answers on one connection until the visitor or the answer ends it.
func (r *rawTarget) serve(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		if line, err := in.Peek(2); err == nil && string(line) == "\r\n" {
			in.Discard(2) // RFC 9112 2.2
		}
		m, err := readMessage(in, "")
		if err != nil {
			return
		}
		r.mu.Lock()
		r.seen = append(r.seen, m)
		response := r.response
		r.mu.Unlock()
		if _, err := io.WriteString(conn, response); err != nil {
			return
		}
		// What ends an answer that says neither length nor chunks is the close.
		lower := strings.ToLower(response)
		if !strings.Contains(lower, "content-length") && !strings.Contains(lower, "chunked") || strings.Contains(lower, "connection: close") {
			return
		}
	}
}

// answer sets what the next requests are answered with.
func (r *rawTarget) answer(response string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.response, r.seen = response, nil
}

// exchange sends a request to addr, at which the target answers so, and
// returns what must pass unchanged of both messages.
func (r *rawTarget) exchange(t *testing.T, addr, request, response string) (seen, got string) {
	t.Helper()
	r.answer(response)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(strings.TrimLeft(request, "\r\n"), " ")
	m, err := readMessage(bufio.NewReader(conn), method)
	if err != nil {
		t.Fatalf("read answer: %v after %+v", err, m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) != 1 {
		return strings.Repeat("a request\n", len(r.seen)), m.passed()
	}
	return r.seen[0].passed(), m.passed()
}
