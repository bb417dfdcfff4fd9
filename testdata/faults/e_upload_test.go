package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"
)

// An upload is a request's body as the target saw it.
type upload struct {
	*message
	end  ending
	conn *conn
}

// took returns a script that reads requests, tells of each how it ended, and
// answers those that are whole.
func took() (script, <-chan upload) {
	seen := make(chan upload, 64)
	return func(c *conn) {
		for {
			m := c.head()
			end := c.body(m)
			seen <- upload{m, end, c}
			if end != whole {
				return
			}
			c.say(ok)
		}
	}, seen
}

// uploads are the request bodies that go their way.
func uploads() []fault {
	return []fault{
		{"E10", "Expect 100-continue", expects},
		{"X500", "Expect 100-continue is refused with 417", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				c.say(sized("417 Expectation Failed", "no", "Connection: close"))
			}})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			t.wantWhole(v.answer("POST"), 417, "no")
		}},
		{"X501", "Expect 100-continue and the target is silent", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			t.target.await(1)
			v.send("hello") // RFC 9110 10.1.1: a visitor need not wait for ever
			t.wantWhole(v.answer("POST"), 200, "hello")
			if u := <-seen; string(u.body) != "hello" {
				t.Errorf("the target got %q", u.body)
			}
		}},
		{"E12", "413 before a 16 MiB body is read", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				m := c.head()
				c.say(sized("413 Content Too Large", "too much"))
				c.body(m)
			}})
			t.wantWhole(t.ask(request{method: "POST", body: pattern(16 << 20)}), 413, "too much")
		}},
		{"X502", "413 and a FIN before a 16 MiB body is read", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				c.say(sized("413 Content Too Large", "too much", "Connection: close"))
				c.Conn.(closeWriter).CloseWrite()
				c.gone(5 * time.Second)
			}})
			t.wantWhole(t.ask(request{method: "POST", body: pattern(16 << 20)}), 413, "too much")
		}},
		{"X503", "413 and an RST before a 16 MiB body is read", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.head()
				c.say(sized("413 Content Too Large", "too much", "Connection: close"))
				c.rst()
			}})
			m := t.ask(request{method: "POST", body: pattern(16 << 20)})
			if m.status != 413 { // the RST may destroy what was not read yet
				t.wantFailure(m, "target_closed", "target_incomplete")
				return
			}
			t.wantWhole(m, 413, "too much")
		}},
		{"X504", "413 for an HTTP 2 visitor that still sends", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				m := c.head()
				c.say(sized("413 Content Too Large", "too much"))
				c.body(m)
			}})
			v := t.visitH2(t.relay.addr)
			id := v.request(false, h2head("POST", t.host(), "/")...)
			v.data(id, "begun", false)
			m := v.read(id, func(m *message) bool { return string(m.body) == "too much" })
			if m.status != 413 || string(m.body) != "too much" {
				t.Errorf("got %v, want 413", m)
			}
		}},
		{"X508", "16 MiB to a name that nobody has and the answer read behind it", func(r *run) {
			body := pattern(16 << 20) // before the visit: it takes a while
			v := r.visit(r.sharedRelay().addr, r.name+"-nobody.localhost")
			v.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: %d\r\n\r\n", len(body)))
			if _, err := io.WriteString(v.conn, body); err != nil {
				r.Errorf("the upload: %v", err)
			}
			r.wantError(v.answer("POST"), "unknown_name")
		}},
		{"E14", "upload is streamed", func(r *run) {
			first := make(chan struct{})
			t := r.open(setup{script: func(c *conn) {
				m := c.head()
				if _, end := until(c.br, "first"); end == whole {
					close(first)
				}
				if c.body(m) == whole {
					c.say(ok)
				}
			}})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
			select {
			case <-first:
			case <-time.After(promptly):
				t.Errorf("the first chunk is not there after %v", promptly)
			}
		}},
		{"E15", "32 MiB upload by digest", func(r *run) {
			const size = 32 << 20
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.within(30 * time.Second)
			v.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: %d\r\n\r\n", size))
			io.Copy(v.conn, noise(size))
			t.wantWhole(v.answer("PUT"), 200, "hello")
			want := sha256.New()
			io.Copy(want, noise(size))
			if u := <-seen; u.size != size || string(u.sum.Sum(nil)) != string(want.Sum(nil)) {
				t.Errorf("%d bytes with another digest", u.size)
			}
		}},
		{"X505", "chunked upload with trailers", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
			t.wantWhole(v.answer("POST"), 200, "hello")
			u := <-seen
			if string(u.body) != "hello" || u.end != whole {
				t.Errorf("the target got %v", u.message)
			}
			if v := first(u.trailers, "X-Sum"); v != "42" {
				t.Errorf("the target got trailers %q, want X-Sum: 42", u.trailers)
			}
		}},
		{"X506", "HTTP 2 upload of unknown length with trailers", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visitH2(t.relay.addr)
			id := v.request(false, h2head("POST", t.host(), "/", field{"trailer", "x-sum"})...)
			v.data(id, "hel", false)
			v.data(id, "lo", false)
			v.trailers(id, field{"x-sum", "42"})
			t.wantWhole(v.answer(id), 200, "hello")
			if u := <-seen; string(u.body) != "hello" || first(u.trailers, "X-Sum") != "42" {
				t.Errorf("the target got %v, trailers %q", u.message, u.trailers)
			}
		}},
		{"X507", "empty chunked upload", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
			t.wantWhole(v.answer("POST"), 200, "hello")
			if u := <-seen; u.size != 0 || u.end != whole {
				t.Errorf("the target got %v", u.message)
			}
		}},
	}
}

type closeWriter interface{ CloseWrite() error }

// expects waits for the target's 100 before it sends its body.
func expects(r *run) {
	seen := make(chan string, 1)
	t := r.open(setup{script: func(c *conn) {
		m := c.head()
		seen <- m.get("Expect")
		c.say("HTTP/1.1 100 Continue\r\n\r\n")
		if c.body(m) == whole {
			c.say(sized("200 OK", string(m.body)))
		}
	}})
	v := t.visit()
	v.within(3 * time.Second)
	v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if m := v.head(); m.status != 100 {
		t.Fatalf("got %v, want 100", m)
	}
	if expect := <-seen; !strings.EqualFold(expect, "100-continue") {
		t.Errorf("the target saw Expect: %s", expect)
	}
	v.send("hello")
	t.wantWhole(v.answer("POST"), 200, "hello")
}
