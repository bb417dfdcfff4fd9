package websock

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
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
	// One write that finds no room does not tell: its deadline may have passed
	// before it began.
	for refused := 0; refused < 3; {
		under.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		switch n, err := under.Write(make([]byte, 1<<20)); {
		case n > 0:
			refused = 0
		case errors.Is(err, os.ErrDeadlineExceeded):
			refused++
		default:
			t.Fatal(err)
		}
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
