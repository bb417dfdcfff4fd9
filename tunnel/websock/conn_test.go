package websock

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
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

// The bytes of writes of all sizes arrive in order, each way.
func TestStream(t *testing.T) {
	sizes := []int{1, 125, 126, 127, 4095, 4096, maxMessage - 1, maxMessage, maxMessage + 1, 3*maxMessage + 7, 1 << 20}
	client, server := pair(t)
	for name, ends := range map[string][2]*Conn{"to the server": {client, server}, "to the client": {server, client}} {
		t.Run(name, func(t *testing.T) {
			var want []byte
			for i, n := range sizes {
				want = append(want, bytes.Repeat([]byte{byte('a' + i)}, n)...)
			}
			wrote := make(chan error, 1)
			go func() { // ended by the reader
				rest := want
				for _, n := range sizes {
					if k, err := ends[0].Write(rest[:n]); err != nil || k != n {
						wrote <- errors.Join(err, io.ErrShortWrite)
						return
					}
					rest = rest[n:]
				}
				wrote <- nil
			}()
			got := make([]byte, len(want))
			ends[1].SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(ends[1], got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("other bytes arrive, %v", err)
			}
			if err := await(t, wrote, "the writer"); err != nil {
				t.Error(err)
			}
		})
	}
	if n, err := server.Read(nil); n != 0 || err != nil {
		t.Errorf("a read of nothing: %d, %v", n, err)
	}
	if client.LocalAddr().String() != server.RemoteAddr().String() {
		t.Errorf("addresses %v and %v", client.LocalAddr(), server.RemoteAddr())
	}
	// The end of a direction arrives, and the other goes on.
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v", n, err)
	}
}

// Fragments and empty messages are bytes of the stream like others.
func TestFragments(t *testing.T) {
	client, _, server := byHand(t)
	for _, p := range [][]byte{
		frame(binaryFrame, []byte("ab")), frame(final|ping, []byte("?")), frame(continuation, nil), frame(final|continuation, []byte("cd")),
		frame(final|binaryFrame, nil), frame(final|pong, nil), frame(final|binaryFrame, []byte("ef")),
	} {
		client.Write(p)
	}
	client.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(server); string(got) != "abcdef" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// What is no frame of a client's ends the connection.
func TestRefuses(t *testing.T) {
	unmasked := func(first byte, payload string) []byte { return append([]byte{first, byte(len(payload))}, payload...) }
	for name, p := range map[string][]byte{
		"text":                      frame(final|text, []byte("x")),
		"no mask":                   unmasked(final|binaryFrame, "x"),
		"a reserved bit":            frame(final|0x40|binaryFrame, []byte("x")),
		"an unknown opcode":         frame(final|0x3, []byte("x")),
		"a continuation of nothing": frame(final|continuation, []byte("x")),
		"a fragment of a ping":      frame(ping, []byte("x")),
		"a long ping":               frame(final|ping, make([]byte, 126)),
		"a negative length":         frameHead(final|binaryFrame, 1<<63),
		"a message inside another":  append(frame(binaryFrame, nil), frame(final|binaryFrame, []byte("x"))...),
	} {
		t.Run(name, func(t *testing.T) {
			client, _, server := byHand(t)
			client.Write(p)
			n, err := server.Read(make([]byte, 100))
			if n != 0 || err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %d bytes, %v", n, err)
			}
			if n, err := server.Read(make([]byte, 100)); n != 0 || err == nil {
				t.Errorf("afterwards: %d bytes, %v", n, err)
			}
		})
	}
}

// A message is bounded, whatever it announces.
func TestMessageIsBounded(t *testing.T) {
	for name, p := range map[string][]byte{
		"one byte more": frame(final|binaryFrame, make([]byte, maxMessage+1)),
		"a terabyte":    append(frameHead(final|binaryFrame, 1<<40), make([]byte, 4*maxMessage)...),
		"fragments":     frame(binaryFrame, make([]byte, maxMessage)),
	} {
		t.Run(name, func(t *testing.T) {
			client, _, server := byHand(t)
			go func() { // ended by the server's end
				client.Write(p)
				for name == "fragments" {
					if _, err := client.Write(frame(continuation, make([]byte, 1000))); err != nil {
						return
					}
				}
			}()
			got, err := io.ReadAll(server)
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || len(got) > maxMessage+1 {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			server.Close()
		})
	}
	client, _, server := byHand(t)
	client.Write(frame(final|binaryFrame, make([]byte, maxMessage)))
	if _, err := io.ReadFull(server, make([]byte, maxMessage)); err != nil {
		t.Errorf("the longest message: %v", err)
	}
}

// A WebSocket that is cut, wherever, ends, and gives no byte that was not sent.
func TestCut(t *testing.T) {
	whole := masked(final|binaryFrame, []byte("hello"))
	for n := range len(whole) + 1 {
		client, _, server := byHand(t)
		client.Write(whole[:n])
		client.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(server)
		if errors.Is(err, os.ErrDeadlineExceeded) || !bytes.HasPrefix([]byte("hello"), got) || n == len(whole) && string(got) != "hello" {
			t.Errorf("cut behind %d of %d bytes: got %q, %v", n, len(whole), got, err)
		}
	}
	// So it does when time cuts it, and more comes later.
	client, _, server := byHand(t)
	client.Write(whole[:len(whole)-2])
	server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	got, err := io.ReadAll(server)
	if !bytes.HasPrefix([]byte("hello"), got) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
	client.Write(append(whole[len(whole)-2:], whole...))
	server.SetReadDeadline(time.Now().Add(patience))
	if n, err := server.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("afterwards: %d bytes, %v", n, err)
	}
}

// A peer that says goodbye has ended.
func TestGoodbye(t *testing.T) {
	for _, payload := range [][]byte{nil, {0x3, 0xe8}, {0x3, 0xe9, 'b', 'y', 'e'}, {0x3, 0xf3}} {
		client, _, server := byHand(t)
		client.Write(frame(final|closing, payload))
		if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%x: got %d, %v", payload, n, err)
		}
	}
}

// Pings are answered, and a flood of them is not.
func TestPings(t *testing.T) {
	client, r, server := byHand(t)
	ended := make(chan error, 1)
	go func() { // ended by the flood
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	for range maxEmpty {
		client.Write(frame(final|ping, []byte("hi")))
		answer := make([]byte, 4)
		if _, err := io.ReadFull(r, answer); err != nil || string(answer) != "\x8a\x02hi" {
			t.Fatalf("got % x, %v", answer, err)
		}
	}
	client.Write(frame(final|ping, []byte("hi")))
	if rest, err := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("the flood gets %q, %v", rest, err)
	}
	if err := await(t, ended, "the reader"); err != errFlood {
		t.Errorf("got %v", err)
	}
}

// A flood of frames that carry nothing ends the connection, also where bytes
// are among them.
func TestFlood(t *testing.T) {
	for name, empty := range map[string][]byte{
		"pongs":          frame(final|pong, nil),
		"empty messages": frame(final|binaryFrame, nil),
	} {
		t.Run(name, func(t *testing.T) {
			client, _, server := byHand(t)
			go func() { // ended by the server's end
				client.Write(frame(final|binaryFrame, []byte("a")))
				client.Write(bytes.Repeat(empty, maxEmpty))
				client.Write(frame(final|binaryFrame, []byte("b")))
				client.Write(empty)
			}()
			got, err := io.ReadAll(server)
			if string(got) != "ab" || err != errFlood {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	client, server := pair(t)
	past := time.Unix(1, 0)
	client.SetReadDeadline(past)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	// What waits is woken.
	woken := make(chan error, 1)
	go func() { // ended by the deadline
		_, err := server.Read(make([]byte, 1))
		woken <- err
	}()
	server.SetDeadline(past)
	if err := await(t, woken, "the reader"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: %v", err)
	}
}

// Close ends a connection whose peer reads nothing, and whoever uses it.
func TestCloseWhileStuck(t *testing.T) {
	client, _ := pair(t)
	under := client.NetConn()
	for full := false; !full; {
		under.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := under.Write(make([]byte, 1<<20))
		full = errors.Is(err, os.ErrDeadlineExceeded)
	}
	under.SetWriteDeadline(time.Time{})
	ended := make(chan error, 2)
	go func() { // ended by Close
		_, err := client.Write(make([]byte, 1<<20))
		ended <- err
	}()
	go func() { // ended by Close
		_, err := client.Read(make([]byte, 1))
		ended <- err
	}()
	closed := make(chan error, 1)
	go func() { closed <- client.Close() }()
	if err := await(t, closed, "Close"); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range 2 {
		if err := await(t, ended, "who uses it"); err == nil {
			t.Error("no error")
		}
	}
	if err := client.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
}

// Whatever a client sends, reading it ends, and gives no more bytes than came.
func FuzzRead(f *testing.F) {
	f.Add(frame(final|binaryFrame, []byte("hello")))
	f.Add(append(frame(binaryFrame, []byte("a")), frame(final|continuation, []byte("b"))...))
	f.Add(frame(final|ping, []byte("x")))
	f.Add(frame(final|closing, []byte{0x3, 0xe8}))
	f.Add(frameHead(final|binaryFrame, 1<<62))
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		defer near.Close()
		accepted := make(chan *Conn, 1)
		go func() { // ended by near's end
			defer close(accepted)
			if c, err := serve(far); err == nil {
				accepted <- c
			}
		}()
		near.SetDeadline(time.Now().Add(patience))
		io.WriteString(near, opening)
		if _, err := http.ReadResponse(bufio.NewReader(near), nil); err != nil {
			t.Fatal(err)
		}
		server := <-accepted
		if server == nil {
			t.Fatal("the request was not accepted")
		}
		defer server.Close()
		drained := make(chan struct{})
		go func() { // ended by far's end
			defer close(drained)
			io.Copy(io.Discard, near)
		}()
		go func() { // ended by the server's end
			near.Write(sent)
			near.Close()
		}()
		got, _ := io.ReadAll(server)
		if len(got) > len(sent) {
			t.Errorf("%d bytes of %d", len(got), len(sent))
		}
		server.Close()
		<-drained
	})
}
