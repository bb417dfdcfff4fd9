package faults

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A script is what a target does with one connection. The connection is
// closed when it returns.
type script func(*conn)

// A target accepts connections and runs a script on each, until it is closed.
type target struct {
	*run
	script script
	wg     sync.WaitGroup
	once   sync.Once // of close
	ln     net.Listener
	done   chan struct{} // closed when the target closes: a script that waits ends

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu
	seen  []*message        // guarded by mu; requests whose head came, in order; the body is the script's
	begun int               // guarded by mu; connections so far
}

// listen starts a target at addr, a path of a unix socket or host:port.
func (r *run) listen(addr string, s script) *target {
	r.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	var ln net.Listener
	var err error
	eventually(5*time.Second, func() bool { // the port of a target that comes back may still be held
		ln, err = net.Listen(network, addr)
		return err == nil
	})
	if err != nil {
		r.Fatalf("target: %v", err)
	}
	t := &target{run: r, script: s, ln: ln, done: make(chan struct{}), conns: make(map[net.Conn]bool)}
	t.wg.Go(t.serve)
	r.Cleanup(t.stop)
	return t
}

func (t *target) addr() string { return t.ln.Addr().String() }

func (t *target) serve() {
	for {
		nc, err := t.ln.Accept()
		if err != nil {
			return
		}
		t.mu.Lock()
		t.conns[nc] = true
		t.begun++
		n := t.begun
		t.mu.Unlock()
		t.wg.Go(func() {
			c := &conn{Conn: nc, target: t, br: bufio.NewReader(nc), nth: n}
			defer func() {
				c.Close()
				t.mu.Lock()
				delete(t.conns, nc)
				t.mu.Unlock()
			}()
			t.script(c)
		})
	}
}

// stop closes the listener and every connection, as the death of a process
// would, and waits for the scripts.
func (t *target) stop() { t.once.Do(t.close) }

func (t *target) close() {
	close(t.done)
	t.ln.Close()
	t.mu.Lock()
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// requests returns the requests so far, those that were cut too. Of their
// bodies only the script can tell.
func (t *target) requests() []*message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*message(nil), t.seen...)
}

// await waits until the target has seen n requests.
func (t *target) await(n int) {
	t.Helper()
	if !eventually(patience, func() bool { return len(t.requests()) >= n }) {
		t.Fatalf("target saw %d requests, want %d", len(t.requests()), n)
	}
}

// A conn is one of a target's connections. Its methods end the script's
// goroutine if the peer is gone.
type conn struct {
	net.Conn
	target *target
	br     *bufio.Reader
	nth    int // of the target's connections, from 1
	count  int // requests read
}

// head reads the head of a request and records it. The connection that an
// agent makes to see if the target is up may end without one.
func (c *conn) head() *message {
	m := newMessage()
	err := m.readHead(c.br)
	if err != nil && m.first == "" {
		runtime.Goexit()
	}
	m.end = endOf(err)
	c.count++
	c.target.mu.Lock()
	c.target.seen = append(c.target.seen, m)
	c.target.mu.Unlock()
	if m.end != whole {
		runtime.Goexit()
	}
	return m
}

// body reads the body of m. Its ending shows in what it returns.
func (c *conn) body(m *message) ending {
	switch length := m.get("Content-Length"); {
	case m.chunked():
		return endOf(m.readChunked(c.br))
	case length != "":
		return endOf(m.readSized(c.br, length))
	}
	return whole
}

// request reads a whole request.
func (c *conn) request() *message {
	m := c.head()
	if c.body(m) != whole {
		runtime.Goexit()
	}
	return m
}

// say writes text.
func (c *conn) say(text string) {
	if _, err := io.WriteString(c, text); err != nil {
		runtime.Goexit()
	}
}

// rst cuts the connection.
func (c *conn) rst() { cut(c.Conn) }

// gone waits until the peer ends the connection and says how: short for a
// FIN, reset for an RST, hung if it did not within d.
func (c *conn) gone(d time.Duration) ending {
	c.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, c.br)
	if err == nil {
		return short
	}
	return endOf(err)
}

// await waits until release is closed, unless the target closes.
func (c *conn) await(release <-chan struct{}) {
	select {
	case <-release:
	case <-c.target.done:
	}
}

// pause waits, unless the target closes.
func (c *conn) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.target.done:
	}
}

// path is the path of a request.
func (m *message) path() string {
	_, rest, _ := strings.Cut(m.first, " ")
	path, _, _ := strings.Cut(rest, " ")
	return path
}

// method is the method of a request.
func (m *message) method() string {
	method, _, _ := strings.Cut(m.first, " ")
	return method
}

// underTLS runs a script inside TLS. Unless the script closes the TLS
// connection itself, it ends without close_notify.
func underTLS(config *tls.Config, s func(*conn, *tls.Conn)) script {
	return func(c *conn) {
		tc := tls.Server(c.Conn, config)
		if tc.Handshake() != nil {
			return
		}
		s(&conn{Conn: tc, target: c.target, br: bufio.NewReader(tc), nth: c.nth}, tc)
	}
}
