package websock

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answered dials a server that gives one answer and closes.
func answered(t *testing.T, answer string) error {
	t.Helper()
	near, far := tcpPair(t)
	served := make(chan struct{})
	go func() { // ended by near's end
		defer close(served)
		defer far.Close()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			io.WriteString(far, answer)
		}
	}()
	c, err := Dial(t.Context(), near, Request{Host: "relay.test", Path: "/connect"})
	if err == nil {
		c.Close()
	}
	await(t, served, "the server")
	return err
}

// What is no WebSocket is told from a connection that fails.
func TestDialRefused(t *testing.T) {
	for answer, status := range map[string]int{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n":                                      404,
		"HTTP/1.1 503 Service Unavailable\r\n\r\n":                                                     503,
		"HTTP/1.1 301 Moved Permanently\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n": 301,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":                                        200,
	} {
		err := answered(t, answer)
		if got, ok := errors.AsType[*StatusError](err); !ok || got.Status != status {
			t.Errorf("%q: got %v", answer, err)
		}
	}
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	for _, answer := range []string{
		switched + "\r\n",
		switched + "Sec-WebSocket-Accept: AAAA\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"SSH-2.0-OpenSSH_9\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nX: " + strings.Repeat("x", 2*maxHead),
	} {
		if err := answered(t, answer); !errors.Is(err, ErrHandshake) {
			t.Errorf("%.100q: got %v", answer, err)
		}
	}
	for _, answer := range []string{"", "HTTP/1.1 101 Sw"} {
		if err := answered(t, answer); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%q: got %v", answer, err)
		}
	}
}

func TestDialEndsWithContext(t *testing.T) {
	near, _ := tcpPair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, near, Request{Host: "relay.test", Path: "/connect"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

// A proxy is asked for the whole URL.
func TestDialProxied(t *testing.T) {
	near, far := tcpPair(t)
	asked := make(chan string, 1)
	go func() { // ended by near's end
		r := bufio.NewReader(far)
		line, _ := r.ReadString('\n')
		req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(line), r)))
		if err != nil {
			asked <- err.Error()
			return
		}
		asked <- line + req.Header.Get("Proxy-Authorization") + " " + req.Host
		far.Close()
	}()
	_, err := Dial(t.Context(), near, Request{Host: "relay.test:8080", Path: "/connect", Proxied: true, ProxyAuthorization: "Basic eA=="})
	if err == nil {
		t.Error("a connection that ends is a WebSocket")
	}
	const want = "GET http://relay.test:8080/connect HTTP/1.1\r\nBasic eA== relay.test:8080"
	if got := await(t, asked, "the request"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidKey(t *testing.T) {
	for key, want := range map[string]bool{
		"AAAAAAAAAAAAAAAAAAAAAA==": true,
		"":                         false,
		"AAAA":                     false,
		"AAAAAAAAAAAAAAAAAAAAAAA=": false,
		"AAAAAAAAAAAAAAAAAAAAAA=":  false,
		"not base64 at all, no!==": false,
	} {
		if got := ValidKey(key); got != want {
			t.Errorf("%q: got %v", key, got)
		}
	}
}
