package faults

import (
	"fmt"
	"strings"
	"time"
)

// soon is how quickly a target learns that a visitor left: a second, and one
// more for a busy machine.
const soon = 2 * time.Second

// visitorsLeave are the visitors that go away.
func visitorsLeave() []fault {
	const post = "POST / HTTP/1.1\r\nHost: HOST\r\n"
	sized := post + "Content-Length: 1000\r\n\r\n" + part
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	chunk := "64\r\n" + part + "\r\n"
	leave, rst := (*visitor).leave, (*visitor).reset
	var all []fault
	for _, c := range []struct {
		id, name, text string
		end            func(*visitor)
	}{
		{"E01", "inside a Content-Length upload", sized, leave},
		{"E02", "inside a chunked upload", chunked + chunk, leave},
		{"E03", "inside a chunk", chunked + "c8\r\n" + part, leave},
		{"X510", "by RST inside a Content-Length upload", sized, rst},
		{"X511", "by RST inside a chunked upload", chunked + chunk, rst},
		{"X512", "inside the last chunk", chunked + chunk + "0\r\n", leave},
		{"X513", "inside the trailers", chunked + chunk + "0\r\nX-Sum: 4", leave},
		{"X514", "before the body", post + "Content-Length: 1000\r\n\r\n", leave},
		{"X515", "inside a chunk size", chunked + chunk + "6", leave},
	} {
		all = append(all, fault{c.id, "visitor goes away " + c.name, func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send(c.text)
			t.target.await(1)
			c.end(v)
			t.wantAborted(seen)
		}})
	}
	for _, c := range []struct {
		id, name string
		fields   []field
		end      func(*h2visitor, uint32)
	}{
		{"X516", "by RST_STREAM inside an HTTP 2 upload", nil, (*h2visitor).cancel},
		{"X517", "inside an HTTP 2 upload", nil, func(v *h2visitor, _ uint32) { v.conn.Close() }},
		{"X518", "with END_STREAM before its Content-Length", []field{{"content-length", "1000"}}, func(v *h2visitor, id uint32) { v.data(id, "", true) }},
		{"X519", "with more than its Content-Length", []field{{"content-length", "101"}}, func(v *h2visitor, id uint32) { v.data(id, "too much", true) }},
	} {
		all = append(all, fault{c.id, "HTTP 2 visitor goes away " + c.name, func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visitH2(t.relay.addr)
			id := v.request(false, h2head("POST", t.host(), "/", c.fields...)...)
			v.data(id, part, false)
			t.target.await(1)
			c.end(v, id)
			t.wantAborted(seen)
		}})
	}
	return append(all, []fault{
		{"E05", "visitor goes away while the target thinks", func(r *run) { leavesThinking(r, leave) }},
		{"X520", "visitor goes away by RST while the target thinks", func(r *run) { leavesThinking(r, rst) }},
		{"X521", "HTTP 2 visitor goes away while the target thinks", func(r *run) {
			s, gone := thinker()
			t := r.open(setup{script: s})
			v := t.visitH2(t.relay.addr)
			id := v.request(true, h2head("GET", t.host(), "/")...)
			t.target.await(1)
			v.cancel(id)
			t.wantGone(gone)
		}},
		{"E06", "visitor goes away inside a download", func(r *run) { leavesDownload(r, leave) }},
		{"X522", "visitor goes away by RST inside a download", func(r *run) { leavesDownload(r, rst) }},
		{"X523", "agent SIGKILLed inside an upload", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send(sized)
			t.target.await(1)
			t.proc.kill()
			t.wantAborted(seen)
			t.wantFailure(v.answer("POST"), "link_lost")
		}},
		{"X524", "visitor goes away inside a WebSocket by RST", func(r *run) {
			ends := make(chan ending, 1)
			t := r.open(setup{script: upgrade("websocket", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				ends <- c.gone(10 * time.Second)
			})})
			v := t.upgraded("websocket")
			v.reset()
			if end := <-ends; end != reset {
				t.Errorf("the target's socket ended %v, want an RST", end)
			}
		}},
	}...)
}

// wantAborted waits for an upload that is cut, and soon.
func (t *tunnel) wantAborted(seen <-chan upload) {
	t.Helper()
	begun := time.Now()
	select {
	case u := <-seen:
		if u.end == whole {
			t.lie("the target saw a whole request of %d bytes", u.size)
		}
		t.wantSince(begun, soon)
	case <-time.After(patience):
		t.hang("the target did not see the abort")
	}
	for _, u := range t.target.requests()[1:] {
		t.Errorf("another request: %q", u.first)
	}
}

// thinker returns a target that never answers, and how its visitors went.
func thinker() (script, <-chan ending) {
	gone := make(chan ending, 8)
	return func(c *conn) {
		c.request()
		gone <- c.gone(patience)
	}, gone
}

func (t *tunnel) wantGone(gone <-chan ending) {
	t.Helper()
	begun := time.Now()
	if end := <-gone; end == hung {
		t.hang("the target did not see that its visitor left")
	}
	t.wantSince(begun, soon)
}

func leavesThinking(r *run, end func(*visitor)) {
	s, gone := thinker()
	t := r.open(setup{script: s})
	v := t.visit()
	v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
	t.target.await(1)
	end(v)
	t.wantGone(gone)
}

// endless answers with a body of 1 GiB and tells when it could not go on.
func endless() (func(*conn, *message), <-chan int) {
	stopped := make(chan int, 64)
	return func(c *conn, _ *message) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<30)
		block := []byte(strings.Repeat("x", 64<<10))
		sent := 0
		for sent < 1<<30 {
			n, err := c.Write(block)
			sent += n
			if err != nil {
				break
			}
		}
		stopped <- sent
	}, stopped
}

func leavesDownload(r *run, end func(*visitor)) {
	send, stopped := endless()
	t := r.open(setup{script: func(c *conn) { send(c, c.request()) }})
	v := t.visit()
	v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
	v.until("xxxx")
	end(v)
	t.wantStopped(stopped)
}

func (t *tunnel) wantStopped(stopped <-chan int) {
	t.Helper()
	select {
	case n := <-stopped:
		if n == 1<<30 {
			t.Errorf("the target could send all")
		}
	case <-time.After(5 * time.Second):
		t.hang("the target still sends")
	}
}
