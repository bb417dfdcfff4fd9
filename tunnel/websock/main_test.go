package websock

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// tcpPair returns the ends of a loopback connection, closed with the test.
func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// serve reads a request from conn and accepts it.
func serve(conn net.Conn) (*Conn, error) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return nil, err
	}
	return Accept(conn, r.Header.Get("Sec-WebSocket-Key"))
}

// pair returns the ends of a WebSocket.
func pair(t testing.TB) (client, server *Conn) {
	t.Helper()
	near, far := tcpPair(t)
	accepted := make(chan *Conn, 1)
	go func() { // ended by far's end
		defer close(accepted)
		if c, err := serve(far); err == nil {
			accepted <- c
		}
	}()
	client, err := Dial(t.Context(), near, Request{Host: "relay.test", Path: "/connect"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server = await(t, accepted, "the server's end"); server == nil {
		t.Fatal("the request was not accepted")
	}
	t.Cleanup(func() { server.Close() })
	server.SetDeadline(time.Time{})
	return client, server
}

// await fails the test unless something comes in time.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// opening is a request by hand.
const opening = "GET /connect HTTP/1.1\r\nHost: relay.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

// byHand returns a client that writes frames itself, the reader of what it
// gets, and the server's end.
func byHand(t testing.TB) (client net.Conn, r *bufio.Reader, server *Conn) {
	t.Helper()
	near, far := tcpPair(t)
	accepted := make(chan *Conn, 1)
	go func() { // ended by far's end
		defer close(accepted)
		if c, err := serve(far); err == nil {
			accepted <- c
		}
	}()
	io.WriteString(near, opening)
	r = bufio.NewReader(near)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %+v, %v", resp, err)
	}
	if server = await(t, accepted, "the server's end"); server == nil {
		t.Fatal("the request was not accepted")
	}
	t.Cleanup(func() { server.Close() })
	near.SetDeadline(time.Now().Add(patience))
	server.SetDeadline(time.Now().Add(patience))
	return near, r, server
}

// frame is one frame of a client's: the first byte, and a payload masked with
// zeros, which leave it as it is.
func frame(first byte, payload []byte) []byte {
	return append(frameHead(first, uint64(len(payload))), payload...)
}

func frameHead(first byte, n uint64) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(b, 0, 0, 0, 0)
}

// masked is frame with a mask that changes all of it.
func masked(first byte, payload []byte) []byte {
	b := frame(first, payload)
	key, body := b[len(b)-len(payload)-4:len(b)-len(payload)], b[len(b)-len(payload):]
	copy(key, "\xa1\xb2\xc3\xd4")
	for i := range body {
		body[i] ^= key[i%4]
	}
	return b
}

// The first byte of frames.
const (
	final        = 0x80
	continuation = 0x0
	text         = 0x1
	binaryFrame  = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xa
)
