package faults

import (
	"fmt"
	"strings"
	"time"
)

// sameBytes are the messages that are odd but legal, and pass as they are.
func sameBytes() []fault {
	return []fault{
		{"X700", "a header of 20 KiB", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			value := strings.Repeat("v", 20<<10)
			if got := t.seenBy(request{fields: []string{"X-Large: " + value}}).get("X-Large"); got != value {
				t.Errorf("%d bytes came", len(got))
			}
		}},
		{"X701", "80 fields in their order and case", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			var fields []string
			for i := range 80 {
				fields = append(fields, fmt.Sprintf("x-Field-%d: %d", i*7%80, i))
			}
			var got []string
			for _, f := range t.seenBy(request{fields: fields}).fields {
				if strings.HasPrefix(f.name, "x-Field-") {
					got = append(got, f.name+": "+f.value)
				}
			}
			if strings.Join(got, "\n") != strings.Join(fields, "\n") {
				t.Errorf("got %q", got)
			}
		}},
		{"X702", "bytes above 127 in fields", func(r *run) {
			t := r.open(setup{script: reply(sized("200 OK", "hello", "X-Bytes: \xe9\xff caf\xc3\xa9"))})
			if got := t.seenBy(request{fields: []string{"X-Bytes: \xe9\xff caf\xc3\xa9"}}).get("X-Bytes"); got != "\xe9\xff caf\xc3\xa9" {
				t.Errorf("the target saw %q", got)
			}
			if got := t.get("/").get("X-Bytes"); got != "\xe9\xff caf\xc3\xa9" {
				t.Errorf("the visitor saw %q", got)
			}
		}},
		{"X703", "response fields in their order and case", func(r *run) {
			t := r.open(setup{script: reply(sized("200 Fine, thanks", "hello", "b-Second: 2", "A-first: 1", "c: ", "b-Second: 3"))})
			m := t.get("/")
			t.wantWhole(m, 200, "hello")
			if m.first != "HTTP/1.1 200 Fine, thanks" {
				t.Errorf("status line %q", m.first)
			}
			if got := fmt.Sprint(m.fields); !strings.Contains(got, "{b-Second 2} {A-first 1} {c } {b-Second 3}") {
				t.Errorf("fields %s", got)
			}
		}},
		{"X704", "a body that is compressed stays so", func(r *run) {
			t := r.open(setup{script: reply(sized("200 OK", "\x1f\x8b\x08 not really", "Content-Encoding: gzip", "Vary: Accept-Encoding", "ETag: \"a\""))})
			m := t.get("/")
			t.wantWhole(m, 200, "\x1f\x8b\x08 not really")
			if m.get("Content-Encoding") != "gzip" || m.get("ETag") != `"a"` {
				t.Errorf("fields %q", m.fields)
			}
			if got := t.target.requests()[0].get("Accept-Encoding"); got != "" {
				t.Errorf("Accept-Encoding: %s was invented", got)
			}
		}},
		{"X705", "no field of the answer is invented", func(r *run) {
			t := r.open(setup{script: reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")})
			m := t.get("/")
			t.wantWhole(m, 200, "<html>")
			for _, name := range []string{"Content-Type", "Server", "X-Content-Type-Options", "Cache-Control"} {
				if v := m.get(name); v != "" {
					t.Errorf("%s: %s was invented", name, v)
				}
			}
		}},
		{"X706", "Via is kept and appended", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			m := t.seenBy(request{fields: []string{"Via: 1.0 other"}})
			if got := strings.Join(m.all("Via"), ", "); !strings.HasPrefix(got, "1.0 other, 1.1 ") {
				t.Errorf("Via %q", got)
			}
		}},
		{"X707", "trailers that are no trailers", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" +
				"Content-Length: 1\r\nHost: other\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 6.6.6.6\r\nShare-Error: x\r\nX-Sum: 42\r\n\r\n")
			m := v.answer("POST")
			if m.status == 400 {
				t.wantError(m, "bad_request", "visitor_incomplete")
				return
			}
			t.wantWhole(m, 200, "hello")
			for _, f := range (<-seen).trailers {
				if f.name != "X-Sum" {
					t.Errorf("the target got the trailer %v", f)
				}
			}
		}},
		{"X708", "a head that comes byte by byte", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			for _, b := range []byte("GET / HTTP/1.1\r\nHost: " + v.host + "\r\nX-A: b\r\n\r\n") {
				v.send(string(b))
			}
			t.wantWhole(v.answer("GET"), 200, "hello")
		}},
		{"X709", "an answer that comes byte by byte", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.request()
				for _, b := range []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n") {
					c.say(string(b))
				}
			}})
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"X710", "an upload that comes byte by byte", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			for _, b := range []byte("POST / HTTP/1.1\r\nHost: " + v.host + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n") {
				v.send(string(b))
			}
			t.wantWhole(v.answer("POST"), 200, "hello")
			if u := <-seen; string(u.body) != "hello world" {
				t.Errorf("the target got %q", u.body)
			}
		}},
		{"X711", "a body in chunks of one byte", func(r *run) {
			t := r.open(setup{script: reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 20000) + "0\r\n\r\n")})
			t.wantWhole(t.get("/"), 200, strings.Repeat("x", 20000))
		}},
		{"X712", "a fragment in the request target", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			m := t.get("/a#b")
			if m.status == 400 {
				t.wantError(m, "bad_request")
				return
			}
			t.wantWhole(m, 200, "hello")
			if got := t.target.requests()[0].path(); got != "/a#b" {
				t.Errorf("the target saw %q", got)
			}
		}},
		{"X713", "the target rewrites Host", func(r *run) {
			target := r.listen(r.free(), reply(ok))
			t := r.open(setup{addr: target.addr(), args: []string{"--host-header", "target"}})
			t.wantWhole(t.get("/"), 200, "hello")
			m := target.requests()[0]
			if m.get("Host") != target.addr() || m.get("X-Forwarded-Host") != t.host() {
				t.Errorf("Host %q, X-Forwarded-Host %q", m.get("Host"), m.get("X-Forwarded-Host"))
			}
		}},
		{"X714", "an idle connection of a visitor stays usable", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			for range 2 {
				v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
				t.wantWhole(v.answer("GET"), 200, "hello")
				<-time.After(3 * time.Second) // idle, as the case has it
				v.within(patience)
			}
		}},
	}
}
