package faults

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
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
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return func(c *conn) {
		only := &single{conn: c.Conn, closed: make(chan struct{})}
		server := &http.Server{Handler: h, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					only.Close()
				}
			}}
		server.Serve(only)
	}
}

// A single is a listener for one connection that is there already.
type single struct {
	conn   net.Conn // nil once accepted
	once   sync.Once
	closed chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if c := s.conn; c != nil {
		s.conn = nil
		return c, nil
	}
	<-s.closed
	return nil, net.ErrClosed
}

func (s *single) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *single) Addr() net.Addr { return &net.TCPAddr{} }

// pattern is n bytes in which a shift shows.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%08d\n", i)
	}
	return b.String()[:n]
}
