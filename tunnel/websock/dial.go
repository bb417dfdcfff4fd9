package websock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// maxHead bounds the answer to a request.
const maxHead = 64 << 10

// A Request is what a server is asked for.
type Request struct {
	Host string // with the port, unless it is the usual one
	Path string

	// Proxied makes it a request to a proxy, which passes it on (RFC 9112
	// 3.2.2). ProxyAuthorization is the field of that name, if not empty.
	Proxied            bool
	ProxyAuthorization string
}

// A StatusError is an answer that is no WebSocket.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("a WebSocket was answered with %d %s", e.Status, http.StatusText(e.Status))
}

// ErrHandshake is a peer that does not answer as a WebSocket, or not as HTTP.
var ErrHandshake = errors.New("the answer is not that of a WebSocket")

// Dial makes a WebSocket of conn, which it owns, also on failure. It ends with
// ctx. What the server answers otherwise is a *StatusError or ErrHandshake.
func Dial(ctx context.Context, conn net.Conn, r Request) (_ *Conn, err error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			err = context.Cause(ctx) // whatever came of it, the deadline stands
		}
		if err != nil {
			conn.Close()
		}
	}()
	header := make(http.Header)
	header.Set("User-Agent", "share")
	if r.ProxyAuthorization != "" {
		header.Set("Proxy-Authorization", r.ProxyAuthorization)
	}
	e := &empties{conn: conn}
	h := &handshake{conn: conn, proxied: r.Proxied}
	ws, _, err := websocket.Dial(ctx, "http://"+r.Host+r.Path, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: h},
		HTTPHeader:      header,
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  e.ping,
		OnPongReceived:  e.pong,
	})
	switch {
	case h.err != nil:
		return nil, h.err
	case err != nil:
		return nil, ErrHandshake
	}
	return newConn(conn, ws, e), nil
}

// A handshake is an http.RoundTripper for the one request that a connection
// begins with. The body of a 101 is the connection.
type handshake struct {
	conn    net.Conn
	proxied bool
	err     error // why there is no 101
}

func (h *handshake) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.ask(r)
	if err != nil {
		h.err = err
	}
	return resp, err
}

func (h *handshake) ask(r *http.Request) (*http.Response, error) {
	write := r.Write
	if h.proxied {
		write = r.WriteProxy
	}
	if err := write(h.conn); err != nil {
		return nil, fmt.Errorf("ask for a WebSocket: %w", err)
	}
	head := &io.LimitedReader{R: h.conn, N: maxHead}
	br := bufio.NewReader(head)
	resp, err := http.ReadResponse(br, r)
	if err != nil {
		return nil, h.answerError(head.N, err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, &StatusError{resp.StatusCode}
	}
	head.N = math.MaxInt64
	resp.Body = stream{br, h.conn}
	return resp, nil
}

// answerError says what a failed read of the answer means: the connection's
// failure, or a peer that does not speak HTTP. left is what of maxHead was not
// read.
func (h *handshake) answerError(left int64, err error) error {
	_, broken := errors.AsType[*net.OpError](err)
	ended := left > 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
	if broken || ended {
		return fmt.Errorf("await a WebSocket: %w", err)
	}
	return ErrHandshake
}

// A stream is a connection some bytes of which were read ahead.
type stream struct {
	*bufio.Reader
	net.Conn
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
