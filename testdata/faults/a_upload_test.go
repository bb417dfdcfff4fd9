package faults

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// targetUploads are the targets that fail while a request comes in, and those
// that fail after they did not.
func targetUploads() []fault {
	half := func(end func(*conn)) func(*run) {
		return func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				io.CopyN(io.Discard, c.br, 2<<20)
				end(c)
			}})
			m := t.ask(request{method: "POST", body: pattern(4 << 20)})
			t.wantFailure(m, "target_closed")
			if n := len(t.target.requests()); n != 1 {
				t.Errorf("the POST was delivered %d times", n)
			}
		}
	}
	stops := func(q request) func(*run) {
		return func(r *run) {
			addr := r.free()
			target := r.listen(addr, reply(ok))
			t := r.open(setup{addr: addr})
			t.wantWhole(t.get("/"), 200, "hello")
			target.stop()
			t.wantFailure(t.ask(q), "target_refused")
			r.listen(addr, reply(ok))
			t.wantUp(5 * time.Second)
		}
	}
	return []fault{
		{"X80", "resets on the head of a 4 MiB POST", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				c.rst()
			}})
			t.wantFailure(t.ask(request{method: "POST", body: pattern(4 << 20)}), "target_closed")
			if n := len(t.target.requests()); n != 1 {
				t.Errorf("the POST was delivered %d times", n)
			}
		}},
		{"X81", "reads half a POST and closes", half((*conn).close)},
		{"X82", "reads half a POST and resets", half((*conn).rst)},
		{"X83", "target stops after a GET", stops(request{})},
		{"X84", "target stops after a GET and a POST comes", stops(request{method: "POST", body: "once"})},
		{"X85", "500 in the middle of a POST", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				io.CopyN(io.Discard, c.br, 1<<20)
				c.say(sized("500 Internal Server Error", "broken"))
				io.Copy(io.Discard, io.LimitReader(c.br, 3<<20))
			}})
			t.wantWhole(t.ask(request{method: "POST", body: pattern(4 << 20)}), 500, "broken")
		}},
		{"X86", "200 in the middle of a POST that goes on", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				until(c.br, "first")
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
				until(c.br, "second")
				c.say("6\r\nsecond\r\n0\r\n\r\n")
			}})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 11\r\n\r\nfirst")
			if got, end := v.until("first"); end != whole {
				t.Fatalf("got %q, %v before the upload was whole", got, end)
			}
			v.send("second")
			if got, end := v.until("0\r\n\r\n"); end != whole || !strings.Contains(got, "second") {
				t.Errorf("got %q, %v", got, end)
			}
		}},
		{"X87", "an error page that ends with the connection", func(r *run) {
			body := strings.Repeat("broken ", 1000)
			t := r.open(setup{script: then("HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n" + body)})
			m := t.get("/")
			t.wantWhole(m, 500, body)
			if m.first != "HTTP/1.1 500 Oops" {
				t.Errorf("status line %q", m.first)
			}
		}},
		{"X88", "a GET with a body", func(r *run) {
			t := r.open(setup{script: echo})
			t.wantWhole(t.ask(request{body: "query"}), 200, "query")
			if got := t.target.requests()[0].get("Content-Length"); got != strconv.Itoa(len("query")) {
				t.Errorf("Content-Length %q", got)
			}
		}},
		{"X89", "a POST of length 0", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.ask(request{method: "POST", fields: []string{"Content-Length: 0"}}), 200, "hello")
			if got := t.target.requests()[0].get("Content-Length"); got != "0" {
				t.Errorf("Content-Length %q, want 0", got)
			}
		}},
	}
}
