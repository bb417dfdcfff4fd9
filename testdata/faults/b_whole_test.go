package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// wholeBodies are the answers that are whole, though some do not look so.
func wholeBodies() []fault {
	const (
		closing = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
		chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	)
	sum := reply(chunked + "Trailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
	table := []asked{
		{"B13", "close-delimited body ended by FIN", then(closing + part), request{}, passes(200, part), nil},
		{"X200", "close-delimited body ended by FIN HTTP 1.0 visitor", then(closing + part), request{proto: "HTTP/1.0"}, passes(200, part), nil},
		{"X201", "close-delimited body ended by FIN HTTP 2 visitor", then(closing + part), request{proto: "h2"}, passes(200, part), nil},
		{"B14", "HTTP 1.0 target", then("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + part), request{}, passes(200, part), nil},
		{"B15", "trailers reach the visitor", sum, request{fields: []string{"TE: trailers", "Connection: TE"}}, summed, nil},
		{"B35", "trailers reach an HTTP 2 visitor", sum, request{proto: "h2", fields: []string{"te: trailers"}}, summed, nil},
		{"X202", "trailers stop before an HTTP 1.0 visitor", sum, request{proto: "HTTP/1.0"}, passes(200, "hello"), nil},
		{"X203", "chunk extensions", reply(chunked + "\r\n5;a=\"b;c\"\r\nhello\r\n0;z\r\n\r\n"), request{}, passes(200, "hello"), nil},
		{"X204", "Transfer-Encoding in capitals", reply("HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), request{}, passes(200, "hello"), nil},
		{"X205", "chunk size with leading zeros", reply(chunked + "\r\n00000005\r\nhello\r\n000\r\n\r\n"), request{}, passes(200, "hello"), nil},
		{"B16", "stalls 7 s inside the body", stall, request{within: 20 * time.Second}, passes(200, part+part), nil},
		{"B19", "206 with Content-Range", reply(sized("206 Partial Content", part, "Content-Range: bytes 0-99/1000")), request{fields: []string{"Range: bytes=0-99"}},
			func(t *tunnel, m *message) {
				t.wantWhole(m, 206, part)
				if v := m.get("Content-Range"); v != "bytes 0-99/1000" {
					t.Errorf("Content-Range %q", v)
				}
			}, nil},
	}
	for i, c := range []struct{ id, status, fields string }{
		{"B18", "500 Internal Server Error", ""}, {"X206", "503 Service Unavailable", "Retry-After: 7"},
		{"X207", "404 Not Found", ""}, {"X208", "418 I'm a teapot", ""}, {"X209", "416 Range Not Satisfiable", "Content-Range: bytes */1000"},
		{"X210", "502 Bad Gateway", "Retry-After: 1"}, {"X211", "599 Odd", ""},
	} {
		fields := []string{"X-Case: " + strconv.Itoa(i)}
		if c.fields != "" {
			fields = append(fields, c.fields)
		}
		table = append(table, asked{c.id, "target's own " + c.status[:3], reply(sized(c.status, "mine", fields...)), request{}, func(t *tunnel, m *message) {
			status, _ := strconv.Atoi(c.status[:3])
			t.wantWhole(m, status, "mine")
			if m.first != "HTTP/1.1 "+c.status {
				t.Errorf("status line %q, want %q", m.first, c.status)
			}
			if name, value, _ := strings.Cut(c.fields, ": "); m.get(name) != value {
				t.Errorf("%s %q, want %q", name, m.get(name), value)
			}
		}, nil})
	}
	for _, c := range []struct{ id, name, proto, method, text string }{
		{"B23", "empty 200 Content-Length 0", "", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"B25", "empty 200 chunked", "", "GET", chunked + "\r\n0\r\n\r\n"},
		{"X212", "empty 200 close-delimited", "", "GET", closing},
		{"X213", "empty 200 close-delimited HTTP 1.0 visitor", "HTTP/1.0", "GET", closing},
		{"X214", "empty 200 close-delimited HTTP 2 visitor", "h2", "GET", closing},
		{"X215", "empty 200 chunked HTTP 2 visitor", "h2", "GET", chunked + "\r\n0\r\n\r\n"},
		{"X216", "204", "", "GET", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"X217", "204 HTTP 2 visitor", "h2", "GET", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"X218", "304 with a length", "", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"a\"\r\n\r\n"},
		{"X219", "304 with a length HTTP 2 visitor", "h2", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"a\"\r\n\r\n"},
		{"X220", "HEAD with a length", "", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"},
		{"X221", "HEAD with a length HTTP 2 visitor", "h2", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"},
		{"X222", "HEAD chunked", "", "HEAD", chunked + "\r\n"},
	} {
		status, _ := strconv.Atoi(c.text[9:12])
		table = append(table, asked{c.id, "honest " + c.name, then(c.text), request{proto: c.proto, method: c.method}, func(t *tunnel, m *message) {
			t.wantWhole(m, status, "")
			_, length, found := strings.Cut(c.text, "Content-Length: ")
			length, _, _ = strings.Cut(length, "\r")
			if found && m.get("Content-Length") != length {
				t.Errorf("Content-Length %q, want %s", m.get("Content-Length"), length)
			}
		}, nil})
	}
	return append(cases(table), fault{"B17", "32 MiB body by digest", large})
}

func summed(t *tunnel, m *message) {
	t.wantWhole(m, 200, "hello")
	if v := first(m.trailers, "X-Sum"); v != "42" {
		t.Errorf("trailers %q, want X-Sum: 42", m.trailers)
	}
}

// stall sends the second half of a body 7 s after the first.
func stall(c *conn) {
	c.request()
	c.say("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + part)
	c.pause(7 * time.Second)
	c.say(part)
}

// noise is n random bytes, the same each time.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// large fetches a body and compares digests.
func large(r *run) {
	const size = 32 << 20
	t := r.open(setup{script: func(c *conn) {
		c.request()
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		io.Copy(c, noise(size))
	}})
	m := t.ask(request{within: 30 * time.Second})
	want := sha256.New()
	io.Copy(want, noise(size))
	if m.end == hung {
		r.hang("no end: %v", m.end)
	}
	if m.end != whole || string(m.sum.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("%d bytes with another digest, %v", m.size, m.end)
	}
}
