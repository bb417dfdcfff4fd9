package faults

import (
	"fmt"
	"strings"
	"time"
)

// pipelined are the connections that carry several requests.
func pipelined() []fault {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	return []fault{
		{"E16", "pipelined requests the first slow", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				for {
					m := c.request()
					if m.path() == "/0" {
						c.pause(500 * time.Millisecond)
					}
					c.say(sized("200 OK", m.path()))
				}
			}})
			v := t.visit()
			for i := range 3 {
				v.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: HOST\r\n\r\n", i))
			}
			for i := range 3 {
				t.wantWhole(v.answer("GET"), 200, fmt.Sprintf("/%d", i))
			}
		}},
		{"X620", "pipelined uploads in one write", func(r *run) {
			t := r.open(setup{script: echo})
			v := t.visit()
			v.send("POST /0 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\none" +
				"POST /1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n" +
				"GET /2 HTTP/1.1\r\nHost: HOST\r\n\r\n")
			t.wantWhole(v.answer("POST"), 200, "one")
			t.wantWhole(v.answer("POST"), 200, "two")
			t.wantWhole(v.answer("GET"), 200, "")
		}},
		{"X621", "a cut answer ends the pipeline", func(r *run) {
			release := make(chan struct{})
			t := r.open(setup{script: paths(map[string]func(*conn, *message){
				"/cut": func(c *conn, _ *message) { c.say(bodies()[1].text); c.await(release) },
			})})
			v := t.visit()
			v.send("GET /cut HTTP/1.1\r\nHost: HOST\r\n\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			m := v.head()
			close(release)
			m.end = v.rest(m, "GET")
			t.wantCut(m, part, "target_incomplete")
			if rest, _ := v.over(5 * time.Second); rest != "" {
				t.Errorf("after the cut came %q", rest)
			}
		}},
		{"E17", "HEAD 204 304 and the connection stays in step", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				for {
					switch m := c.request(); m.path() {
					case "/head":
						c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
					case "/204":
						c.say("HTTP/1.1 204 No Content\r\n\r\n")
					case "/304":
						c.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
					case "/chunkedhead":
						c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
					default:
						c.say(ok)
					}
				}
			}})
			v := t.visit()
			for range 2 {
				for _, c := range []struct {
					method, path string
					status       int
					body, length string
				}{
					{"HEAD", "/head", 200, "", "1000"}, {"GET", "/", 200, "hello", "5"},
					{"GET", "/204", 204, "", ""}, {"GET", "/304", 304, "", "1000"},
					{"HEAD", "/chunkedhead", 200, "", ""}, {"GET", "/", 200, "hello", "5"},
				} {
					v.send(c.method + " " + c.path + " HTTP/1.1\r\nHost: HOST\r\n\r\n")
					m := v.answer(c.method)
					t.wantWhole(m, c.status, c.body)
					if m.get("Content-Length") != c.length {
						t.Errorf("%s %s: Content-Length %q, want %q", c.method, c.path, m.get("Content-Length"), c.length)
					}
				}
			}
		}},
		{"E18", "HTTP 1.0 visitor and a chunked target", func(r *run) {
			t := r.open(setup{script: reply(chunked)})
			m := t.ask(request{proto: "HTTP/1.0"})
			t.wantWhole(m, 200, "hello")
			if te := m.get("Transfer-Encoding"); te != "" {
				t.Errorf("Transfer-Encoding: %s to HTTP/1.0", te)
			}
		}},
		{"X622", "HTTP 1.0 visitor with keep-alive", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			const get = "GET / HTTP/1.0\r\nHost: HOST\r\nConnection: keep-alive\r\n\r\n"
			v.send(get)
			m := v.answer("GET")
			t.wantWhole(m, 200, "hello")
			if strings.EqualFold(m.get("Connection"), "keep-alive") {
				v.send(get)
				t.wantWhole(v.answer("GET"), 200, "hello")
			} else if rest, end := v.over(2 * time.Second); end == hung || rest != "" {
				t.Errorf("the connection stays open without saying so, or says %q", rest)
			}
		}},
		{"X623", "Connection: close of the visitor", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
			t.wantWhole(v.answer("GET"), 200, "hello")
			if rest, end := v.over(2 * time.Second); end != short || rest != "" {
				t.Errorf("the connection ended %v with %q, want a FIN", end, rest)
			}
		}},
		{"X624", "Connection: close of the target is its own", func(r *run) {
			t := r.open(setup{script: then("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")})
			v := t.visit()
			for range 3 {
				v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
				t.wantWhole(v.answer("GET"), 200, "hello")
			}
		}},
	}
}
