package faults

import (
	"fmt"
	"strings"
	"time"
)

// A request is what a visitor asks, on a connection of its own.
type request struct {
	proto  string   // HTTP/1.1 if empty, HTTP/1.0 or h2
	method string   // if empty, GET
	path   string   // if empty, /
	fields []string // as "Name: value"
	body   string
	within time.Duration // if 0, patience
}

func (q request) verb() string {
	if q.method == "" {
		return "GET"
	}
	return q.method
}

func (q request) target() string {
	if q.path == "" {
		return "/"
	}
	return q.path
}

// text is the request as HTTP/1 writes it.
func (q request) text(host string) string {
	proto := q.proto
	if proto == "" {
		proto = "HTTP/1.1"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", q.verb(), q.target(), proto, host)
	for _, f := range q.fields {
		b.WriteString(f + "\r\n")
	}
	if q.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(q.body))
	}
	return b.String() + "\r\n" + q.body
}

// ask sends a request over a connection of its own to addr, and reads the
// answer while it sends.
func (r *run) ask(addr, host string, q request) *message {
	r.Helper()
	if q.within == 0 {
		q.within = patience
	}
	if q.proto == "h2" {
		return r.askH2(addr, host, q)
	}
	v := r.visit(addr, host)
	defer v.leave()
	v.within(q.within)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		v.conn.Write([]byte(q.text(host)))
	}()
	m := v.answer(q.verb())
	v.leave() // ends the write, if it still waits
	<-sent
	return m
}

// ask sends a request through the tunnel.
func (t *tunnel) ask(q request) *message {
	t.Helper()
	return t.run.ask(t.relay.addr, t.host(), q)
}

// get asks for a path through the tunnel.
func (t *tunnel) get(path string) *message {
	t.Helper()
	return t.ask(request{path: path})
}

// later sends a request through the tunnel; the answer comes over the channel.
func (t *tunnel) later(q request) <-chan *message {
	answer := make(chan *message, 1)
	go func() { answer <- t.ask(q) }() // ends with the request's own bound
	return answer
}
