package faults

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience is how long a visitor waits for an answer, if a case does not say.
const patience = 15 * time.Second

// A visitor is one connection that speaks HTTP/1.
type visitor struct {
	*run
	conn net.Conn
	br   *bufio.Reader
	host string // what HOST in a request becomes
}

// dial connects to addr; the connection ends with the case. If that fails the
// case has failed, and the connection is a dead one.
func (r *run) dial(addr string) net.Conn {
	r.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		r.Errorf("visit: %v", err)
		conn, _ = net.Pipe()
		conn.Close()
	}
	r.Cleanup(func() { conn.Close() })
	return conn
}

// visit begins a visitor at addr.
func (r *run) visit(addr, host string) *visitor {
	r.Helper()
	return r.speak(r.dial(addr), host)
}

// speak begins a visitor over a connection.
func (r *run) speak(conn net.Conn, host string) *visitor {
	v := &visitor{run: r, conn: conn, br: bufio.NewReader(conn), host: host}
	v.within(patience)
	return v
}

// visit connects to the tunnel's relay.
func (t *tunnel) visit() *visitor {
	t.Helper()
	return t.run.visit(t.relay.addr, t.host())
}

// within sets the time by which the visitor gives up.
func (v *visitor) within(d time.Duration) { v.conn.SetDeadline(time.Now().Add(d)) }

// send writes text; HOST in it stands for the tunnel's name. What becomes of
// the write shows in the answer.
func (v *visitor) send(text string) {
	io.WriteString(v.conn, strings.ReplaceAll(text, "HOST", v.host))
}

// leave closes the connection; reset cuts it.
func (v *visitor) leave() { v.conn.Close() }

func (v *visitor) reset() { cut(v.conn) }

// cut ends a connection by RST.
func cut(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// answer reads the answer to a request of the given method, those with a 1xx
// before it too. After a 101 the bytes of the other protocol follow.
func (v *visitor) answer(method string) *message {
	begun := time.Now()
	var interim []*message
	for {
		m := v.head()
		if m.end == whole && m.status < 200 && m.status != 101 {
			interim = append(interim, m)
			continue
		}
		m.interim = interim
		if m.end == whole {
			m.end = v.rest(m, method)
		}
		m.took = time.Since(begun)
		return m
	}
}

// head reads the head of an answer; its ending tells if it is there.
func (v *visitor) head() *message {
	m := newMessage()
	if err := m.readHead(v.br); err != nil {
		m.end = endOf(err)
		return m
	}
	version, status, _ := strings.Cut(m.first, " ")
	status, _, _ = strings.Cut(status, " ")
	m.status, _ = strconv.Atoi(status)
	if !strings.HasPrefix(version, "HTTP/1.") || m.status < 100 || m.status > 999 {
		m.end = garbled
	}
	return m
}

// rest reads the body of m, the answer to method, as RFC 9112 6.3 says.
func (v *visitor) rest(m *message, method string) ending {
	switch length := m.all("Content-Length"); {
	case method == "HEAD", m.status == 101, m.status == 204, m.status == 304:
		return whole
	case m.chunked():
		if len(length) > 0 || strings.HasPrefix(m.first, "HTTP/1.0") {
			return garbled
		}
		return endOf(m.readChunked(v.br))
	case m.get("Transfer-Encoding") != "" || len(length) > 1:
		return garbled
	case len(length) == 1:
		return endOf(m.readSized(v.br, length[0]))
	}
	_, err := io.Copy(m, v.br) // to the end of the connection, which io.Copy takes for success
	return endOf(err)
}

// until reads raw bytes until they hold text, and returns all that was read.
func (v *visitor) until(text string) (string, ending) {
	return until(v.br, text)
}

func until(r io.Reader, text string) (string, ending) {
	var got []byte
	buf := make([]byte, 4096)
	for {
		if strings.Contains(string(got), text) {
			return string(got), whole
		}
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil && !strings.Contains(string(got), text) {
			return string(got), endOf(err)
		}
	}
}

// over reads to the end of the connection and tells what it was: short for a
// FIN, reset for an RST, hung if nothing came for d. It returns what came
// before.
func (v *visitor) over(d time.Duration) (string, ending) {
	var rest []byte
	buf := make([]byte, 64<<10)
	for {
		v.conn.SetReadDeadline(time.Now().Add(d))
		n, err := v.br.Read(buf)
		rest = append(rest, buf[:n]...)
		if err != nil {
			return string(rest), endOf(err)
		}
	}
}
