package websock

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	// Version is the one there is (RFC 6455 4.1).
	Version = "13"

	// answerTimeout bounds the answer to a request, for a peer that has left
	// no room for it.
	answerTimeout = 5 * time.Second
)

// ValidKey reports whether key is a Sec-WebSocket-Key (RFC 6455 4.1): 16 bytes
// in base64.
func ValidKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(b) == 16
}

// Accept answers a request for a WebSocket that has arrived over conn with this
// key, a valid one. The rest of the request is the caller's to have checked, and
// that nothing has come behind it. Accept owns conn, also on failure. A deadline
// for writes stands when it returns.
func Accept(conn net.Conn, key string) (*Conn, error) {
	// A connection that takes no deadline fails at its first use.
	_ = conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	r := &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header)}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", Version)
	r.Header.Set("Sec-WebSocket-Key", key)
	e := &empties{conn: conn}
	w := &answer{conn: conn, header: make(http.Header)}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled, OnPingReceived: e.ping, OnPongReceived: e.pong,
	})
	if err != nil {
		conn.Close()
		return nil, plain(err)
	}
	return newConn(conn, ws, e), nil
}

// An answer is the http.ResponseWriter of a request whose connection is at
// hand. It is written when it is hijacked; another answer is not sent.
type answer struct {
	conn   net.Conn
	header http.Header
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(int) {}

func (a *answer) Write(p []byte) (int, error) { return len(p), nil }

func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w := bufio.NewWriter(a.conn)
	// What cannot be written is the error of Flush.
	_, _ = io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = a.header.Write(w)
	_, _ = io.WriteString(w, "\r\n")
	if err := w.Flush(); err != nil {
		return nil, nil, err
	}
	return a.conn, bufio.NewReadWriter(bufio.NewReader(a.conn), w), nil
}
