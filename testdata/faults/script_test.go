package faults

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// ok is a plain whole answer.
const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

// sized is a whole answer with the given status and body.
func sized(status, body string, fields ...string) string {
	fields = append(fields, fmt.Sprintf("Content-Length: %d", len(body)))
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
}

// reply answers every request on a connection with text.
func reply(text string) script {
	return func(c *conn) {
		for {
			c.request()
			c.say(text)
		}
	}
}

// then answers one request with text and closes by FIN.
func then(text string) script {
	return func(c *conn) {
		c.request()
		c.say(text)
	}
}

// thenReset answers one request with text and cuts by RST.
func thenReset(text string) script {
	return func(c *conn) {
		c.request()
		c.say(text)
		c.rst()
	}
}

// thenHold answers one request with text and keeps the connection open.
func thenHold(text string) script {
	return func(c *conn) {
		c.request()
		c.say(text)
		c.gone(time.Minute)
	}
}

// paths runs the script of each request's path, one request a connection.
func paths(scripts map[string]func(*conn, *message)) script {
	return func(c *conn) {
		for {
			m := c.head()
			s := scripts[m.path()]
			if s == nil {
				c.body(m)
				c.say(ok)
				continue
			}
			s(c, m)
			return
		}
	}
}

// echo answers every request with its body.
func echo(c *conn) {
	for {
		m := c.request()
		c.say(sized("200 OK", string(m.body)))
	}
}

// upgrade switches to the protocol that was asked for and runs s.
func upgrade(protocol string, s func(*conn)) script {
	return func(c *conn) {
		c.request()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n")
		s(c)
	}
}

// h2c speaks HTTP/2 with prior knowledge.
func h2c(h http.HandlerFunc) script {
	return func(c *conn) {
		new(http2.Server).ServeConn(c.Conn, &http2.ServeConnOpts{Handler: h,
			BaseConfig: &http.Server{ErrorLog: log.New(io.Discard, "", 0)}})
	}
}

// pattern is n bytes in which a shift shows.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%08d\n", i)
	}
	return b.String()[:n]
}
