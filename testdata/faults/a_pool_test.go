package faults

import (
	"sync"
	"time"
)

// targetPool are the targets that break a connection that was kept.
func targetPool() []fault {
	return []fault{
		{"A24", "unsolicited response on an idle connection", func(r *run) {
			stray(r, func(c *conn) {
				c.say(ok)
				c.say(sized("200 OK", "stray"))
			})
		}},
		{"X50", "more bytes than Content-Length", func(r *run) {
			stray(r, func(c *conn) { c.say(ok + "stray and more") })
		}},
		{"X51", "bytes after the last chunk", func(r *run) {
			stray(r, func(c *conn) {
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nstray and more")
			})
		}},
		{"X52", "a body after a 304", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				for {
					if c.request(); c.nth > 1 || c.count > 1 {
						c.say(ok)
						continue
					}
					c.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\nstray")
				}
			}})
			m := t.get("/")
			t.wantWhole(m, 304, "")
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"A27", "pooled connection closed on the next GET", raced("GET", (*conn).close)},
		{"X53", "pooled connection reset on the next GET", raced("GET", (*conn).rst)},
		{"X54", "pooled connection closed on the next HEAD", raced("HEAD", (*conn).close)},
		{"A28", "pooled connection closed on the next POST", raced("POST", (*conn).close)},
		{"X55", "pooled connection reset on the next POST", raced("POST", (*conn).rst)},
		{"X56", "pooled connection closed on the next DELETE", raced("DELETE", (*conn).close)},
		{"A29", "pooled connection closed while idle", idle((*conn).close)},
		{"X57", "pooled connection reset while idle", idle((*conn).rst)},
	}
}

func (c *conn) close() { c.Close() }

// stray asks a target that answers the first request of its first connection
// and says more than it was asked for. The second answer must not begin there.
func stray(r *run, say func(*conn)) {
	t := r.open(setup{script: func(c *conn) {
		c.request()
		if c.nth == 1 {
			say(c)
			c.gone(time.Minute)
			return
		}
		c.say(sized("200 OK", "right"))
	}})
	t.wantWhole(t.get("/"), 200, "hello")
	eventually(400*time.Millisecond, func() bool { // the agent may drop the connection at once, or when it takes it
		t.target.mu.Lock()
		defer t.target.mu.Unlock()
		return len(t.target.conns) == 0
	})
	for range 3 {
		if m := t.get("/"); m.status != 502 {
			t.wantWhole(m, 200, "right")
		} else {
			t.wantFailure(m, "target_bad_response", "target_closed")
		}
	}
}

// raced asks a target that ends its kept connections when the second request
// has come over them. What may be asked twice is; the rest is delivered once.
func raced(method string, end func(*conn)) func(*run) {
	return func(r *run) {
		var once sync.Once
		t := r.open(setup{script: func(c *conn) {
			for {
				m := c.head()
				c.body(m)
				broken := false
				if c.count == 2 {
					once.Do(func() { broken = true })
				}
				if broken {
					end(c)
					return
				}
				if m.method() == "HEAD" {
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
					continue
				}
				c.say(ok)
			}
		}})
		t.wantWhole(t.get("/first"), 200, "hello")
		q := request{method: method, path: "/second"}
		if method == "POST" {
			q.body = "once"
		}
		m := t.ask(q)
		times := 0
		for _, m := range t.target.requests() {
			if m.path() == "/second" {
				times++
			}
		}
		switch method {
		case "GET":
			t.wantWhole(m, 200, "hello")
		case "HEAD":
			t.wantWhole(m, 200, "")
		default:
			t.wantFailure(m, "target_closed")
			if times != 1 {
				t.Errorf("the %s was delivered %d times", method, times)
			}
			return
		}
		if times != 2 {
			t.Errorf("the target saw the %s %d times, want 2: the kept connection was not used", method, times)
		}
	}
}

// idle asks a target that ends a kept connection after its answer.
func idle(end func(*conn)) func(*run) {
	return func(r *run) {
		ended := make(chan struct{})
		t := r.open(setup{script: func(c *conn) {
			m := c.request()
			if m.path() == "/first" {
				c.say(ok)
				end(c)
				close(ended)
				return
			}
			c.say(sized("200 OK", string(m.body)))
		}})
		t.wantWhole(t.get("/first"), 200, "hello")
		<-ended
		<-time.After(400 * time.Millisecond) // as the case has it; the agent's end cannot be seen
		t.wantWhole(t.ask(request{method: "POST", body: "once"}), 200, "once")
	}
}
