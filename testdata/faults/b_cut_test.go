package faults

import (
	"strings"
	"time"
)

// A cutting is an answer that ends before it is whole, or is none.
type cutting struct {
	name   string
	ids    [3]string // for a visitor of HTTP/1.1, of HTTP/1.0 and of HTTP/2
	text   string    // the head and the begin of the body
	tail   string    // what comes behind
	end    func(*conn)
	sent   string // what text holds of the body
	direct ending // for a visitor of HTTP/1.1 without share in between
}

// part is what the targets that cut their answer sent of it.
var part = pattern(100)

// cuttings are all the ways to cut an answer.
func cuttings() []cutting {
	const (
		head    = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		sized   = head + "Content-Length: 1000\r\n\r\n"
		chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
		closing = head + "Connection: close\r\n\r\n"
	)
	chunk := "64\r\n" + part + "\r\n"
	fin, rst := (*conn).close, (*conn).rst
	hold := func(c *conn) { c.gone(time.Minute) }
	return []cutting{
		{"Content-Length 1000 100 sent FIN", [3]string{"B01", "X100", "B31"}, sized + part, "", fin, part, short},
		{"Content-Length 1000 100 sent RST", [3]string{"B02", "X101", "X102"}, sized + part, "", rst, part, reset},
		{"Content-Length 1000 none sent FIN", [3]string{"B03", "X103", "X104"}, sized, "", fin, "", short},
		{"Content-Length 1000 none sent RST", [3]string{"X105", "X106", "X107"}, sized, "", rst, "", reset},
		{"chunked no last chunk FIN", [3]string{"B04", "B44", "B34"}, chunked + chunk, "", fin, part, short},
		{"chunked no last chunk RST", [3]string{"B05", "X108", "X109"}, chunked + chunk, "", rst, part, reset},
		{"chunked no chunk at all FIN", [3]string{"B06", "X110", "X111"}, chunked, "", fin, "", short},
		{"chunked inside a chunk FIN", [3]string{"X112", "X113", "X114"}, chunked + "c8\r\n" + part, "", fin, part, short},
		{"chunked inside a chunk size FIN", [3]string{"X115", "X116", "X117"}, chunked + chunk, "6", fin, part, short},
		{"chunked inside the last chunk FIN", [3]string{"X118", "X119", "X120"}, chunked + chunk, "0\r\n", fin, part, short},
		{"chunked inside the trailers FIN", [3]string{"X121", "X122", "X123"}, chunked + chunk, "0\r\nX-Sum: 1", fin, part, short},
		{"malformed chunk size", [3]string{"B08", "X124", "B38"}, chunked + chunk, "zz\r\n" + part + "\r\n0\r\n\r\n", hold, part, garbled},
		{"chunk size above 64 bits", [3]string{"X125", "X126", "X127"}, chunked + chunk, "fffffffffffffffff\r\n" + part, hold, part, garbled},
		{"negative chunk size", [3]string{"X128", "X129", "X130"}, chunked + chunk, "-1\r\n" + part + "\r\n0\r\n\r\n", hold, part, garbled},
		{"chunk longer than its size", [3]string{"X131", "X132", "X133"}, chunked + "62\r\n" + part[:98], part[98:] + "\r\n0\r\n\r\n", hold, part[:98], garbled},
		{"close-delimited body cut by RST", [3]string{"B11", "X134", "B32"}, closing + part, "", rst, part, reset},
		{"close-delimited body cut by RST before its first byte", [3]string{"X135", "X136", "X137"}, closing, "", rst, "", reset},
		{"HTTP 1.0 target Content-Length 1000 100 sent FIN", [3]string{"X138", "X139", "X140"},
			"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n" + part, "", fin, part, short},
		{"HTTP 1.0 target close-delimited body cut by RST", [3]string{"X141", "X142", "X143"},
			"HTTP/1.0 200 OK\r\n\r\n" + part, "", rst, part, reset},
		{"206 cut by FIN", [3]string{"X144", "X145", "X146"},
			"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-999/5000\r\nContent-Length: 1000\r\n\r\n" + part, "", fin, part, short},
	}
}

// script cuts the answer: at once, or for /seen once release is closed.
func (c *cutting) script(release <-chan struct{}) script {
	return func(cn *conn) {
		m := cn.request()
		cn.say(c.text)
		if m.path() == "/seen" {
			cn.await(release)
		}
		cn.say(c.tail)
		c.end(cn)
	}
}

// cutBodies are the cut answers, for each kind of visitor: cut at once, which
// may still become a 502, and cut when the visitor has seen the begin.
func cutBodies() []fault {
	var all []fault
	for _, c := range cuttings() {
		for i, proto := range []string{"HTTP/1.1", "HTTP/1.0", "h2"} {
			name := c.name
			if i > 0 {
				name = strings.Replace(proto, "/", " ", 1) + " visitor " + name
			}
			all = append(all, fault{c.ids[i], name, func(r *run) {
				release := make(chan struct{})
				t := r.open(setup{script: c.script(release)})
				t.wantCut(t.ask(request{proto: proto}), c.sent, "target_incomplete", "target_bad_response")
				m := t.broken(request{proto: proto, path: "/seen", within: 5 * time.Second}, c.sent, func() { close(release) })
				t.wantCut(m, c.sent, "target_incomplete", "target_bad_response")
			}})
		}
	}
	return append(all, fault{"B22", "truncation is in the agent's log", func(r *run) {
		t := r.open(setup{script: then(bodies()[0].text)})
		t.wantCut(t.get("/cut"), part, "target_incomplete")
		if !eventually(patience, func() bool { return len(t.proc.out.with(`"/cut"`, "target_incomplete")) > 0 }) {
			t.Errorf("no request with target_incomplete in the agent's events")
		}
		if !eventually(patience, func() bool { return len(t.proc.log.with("/cut", "incomplete")) > 0 }) {
			t.Errorf("no line about the early end in the agent's log")
		}
	}})
}

// broken asks, breaks something when the begin of the body is there, and
// returns the answer, which must end within the request's bound of that.
func (t *tunnel) broken(q request, sent string, do func()) *message {
	t.Helper()
	if q.proto == "h2" {
		v := t.visitH2(t.relay.addr)
		defer v.conn.Close()
		id := v.request(true, h2head("GET", t.host(), q.target())...)
		m := v.read(id, func(m *message) bool { return m.status != 0 && m.size == int64(len(sent)) })
		if m.status == 0 || v.over[id] {
			t.Fatalf("got %v before anything broke", m)
		}
		do()
		v.within(q.within)
		return v.answer(id)
	}
	v := t.visit()
	defer v.leave()
	v.send(q.text(v.host))
	m := v.head()
	if m.end != whole {
		t.Fatalf("got %v before anything broke", m)
	}
	if err := v.foresee(sent); err != nil {
		t.Fatalf("got the head before anything broke, not %q: %v", sent, err)
	}
	do()
	v.within(q.within)
	m.end = v.rest(m, "GET")
	return m
}

// foresee waits until the end of text is there, without reading it.
func (v *visitor) foresee(text string) error {
	text = text[max(0, len(text)-9):]
	for n := 1; text != ""; n++ {
		if _, err := v.br.Peek(n); err != nil {
			return err
		}
		if got, _ := v.br.Peek(v.br.Buffered()); strings.Contains(string(got), text) {
			break
		}
	}
	return nil
}
