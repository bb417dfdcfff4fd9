package nbio

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns both ends of a TCP connection, the first a Conn.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, ok := New(near).(*Conn)
	if !ok {
		t.Skip("sockets cannot be tried on this system")
	}
	t.Cleanup(func() { c.Close(); far.Close() })
	return c, far.(*net.TCPConn)
}

// TestBulk carries more than any socket's buffer both ways at once.
func TestBulk(t *testing.T) {
	c, far := pair(t)
	data := make([]byte, 16<<20)
	rand.Read(data)
	echoed := make(chan error, 1)
	go func() { // ended by c's CloseWrite
		_, err := io.Copy(far, far)
		far.CloseWrite()
		echoed <- err
	}()
	sent := make(chan error, 1)
	go func() {
		_, err := c.WriteBoth(data[:1000], data[1000:9<<20])
		for from := 9 << 20; from < len(data) && err == nil; from += 1 << 20 {
			_, err = c.WriteBoth(data[from:from+1<<19], data[from+1<<19:from+1<<20])
		}
		c.CloseWrite()
		sent <- err
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back (%v), want the %d sent", len(got), err, len(data))
	}
	if err := errors.Join(<-sent, <-echoed); err != nil {
		t.Error(err)
	}
}

func TestReadNow(t *testing.T) {
	c, far := pair(t)
	var b [8]byte
	if n, err := c.ReadNow(b[:]); n != 0 || err != os.ErrDeadlineExceeded {
		t.Errorf("of nothing: %d, %v; want 0 and a timeout", n, err)
	}
	far.Write([]byte("x"))
	if _, err := c.Read(b[:1]); err != nil || b[0] != 'x' {
		t.Errorf("Read behind it: %q, %v", b[:1], err)
	}
	far.Close()
	if n, err := c.Read(b[:]); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v; want io.EOF", n, err)
	}
	if n, err := c.ReadNow(b[:]); n != 0 || err != io.EOF {
		t.Errorf("ReadNow at the end: %d, %v; want io.EOF", n, err)
	}
}

func TestCork(t *testing.T) {
	c, far := pair(t)
	c.Cork()
	for _, text := range []string{"one ", "two ", "three"} {
		if n, err := c.WriteBoth([]byte(text[:1]), []byte(text[1:])); n != len(text) || err != nil {
			t.Fatalf("Write of %q: %d, %v", text, n, err)
		}
	}
	far.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	got := make([]byte, 64)
	if n, err := far.Read(got); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q arrived before Uncork (%v)", got[:n], err)
	}
	far.SetReadDeadline(time.Time{})
	if err := errors.Join(c.Uncork(), c.Uncork()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(" four")); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if got, err := io.ReadAll(far); string(got) != "one two three four" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	c.Cork()
	c.Write([]byte("x"))
	c.Close()
	if err := c.Uncork(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Uncork of a closed connection: %v, want net.ErrClosed", err)
	}
}

// What is corked has a bound: more is sent, in its order.
func TestCorkIsBounded(t *testing.T) {
	c, far := pair(t)
	far.SetReadDeadline(time.Now().Add(10 * time.Second))
	c.Cork()
	var want []byte
	for i, size := range []int{corkBuffer - 1, 1, 1, corkBuffer, 3 * corkBuffer, 7} {
		p := bytes.Repeat([]byte{byte('a' + i)}, size)
		want = append(want, p...)
		wrote := make(chan error, 1)
		go func() { // ended by the reads below
			_, err := c.Write(p)
			wrote <- err
		}()
		got := make([]byte, max(0, len(want)-corkBuffer))
		if _, err := io.ReadFull(far, got); err != nil || !bytes.HasPrefix(want, got) {
			t.Fatalf("%d bytes are not what was sent (%v)", len(got), err)
		}
		want = want[len(got):]
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if n := cap(*c.write.held); n != corkBuffer {
			t.Fatalf("%d bytes are held, want %d at most", n, corkBuffer)
		}
	}
	if err := c.Uncork(); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if got, err := io.ReadAll(far); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes at the end (%v), want %d", len(got), err, len(want))
	}
}

// TestErrors compares each error with that of the connection beneath.
func TestErrors(t *testing.T) {
	past := time.Unix(1, 0)
	tests := []struct {
		name string
		far  func(*net.TCPConn)
		do   func(net.Conn) error
		want error
	}{
		{"read deadline", nil, func(c net.Conn) error {
			c.SetReadDeadline(past)
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		{"deadline while reading", nil, func(c net.Conn) error {
			c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		{"deadline while writing", nil, func(c net.Conn) error {
			c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := c.Write(make([]byte, 64<<20))
			return err
		}, os.ErrDeadlineExceeded},
		{"closed", nil, func(c net.Conn) error {
			c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}, net.ErrClosed},
		{"write to a closed", nil, func(c net.Conn) error {
			c.Close()
			_, err := c.Write(make([]byte, 1))
			return err
		}, net.ErrClosed},
		{"reset", func(far *net.TCPConn) { far.SetLinger(0); far.Close() }, func(c net.Conn) error {
			_, err := c.Read(make([]byte, 1))
			return err
		}, syscall.ECONNRESET},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			of := func(plain bool) *net.OpError {
				c, far := pair(t)
				if tt.far != nil {
					tt.far(far)
				}
				var conn net.Conn = c
				if plain {
					conn = c.Conn
				}
				err := tt.do(conn)
				oe, ok := errors.AsType[*net.OpError](err)
				if !ok || !errors.Is(err, tt.want) {
					t.Fatalf("plain %v: %v, want %v in a *net.OpError", plain, err, tt.want)
				}
				return oe
			}
			got := of(false)
			want := of(true)
			if got.Op != want.Op || got.Net != want.Net || got.Err.Error() != want.Err.Error() {
				t.Errorf("got %s %s: %v, want %s %s: %v", got.Op, got.Net, got.Err, want.Op, want.Net, want.Err)
			}
		})
	}
}

// TestPartialWrite counts what went before the end.
func TestPartialWrite(t *testing.T) {
	c, far := pair(t)
	data := make([]byte, 64<<20)
	go func() { // ended by the far end's
		if _, err := io.ReadFull(far, make([]byte, 1)); err == nil {
			c.SetWriteDeadline(time.Unix(1, 0))
		}
	}()
	n, err := c.Write(data)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n <= 0 || n >= 64<<20 {
		t.Errorf("Write = %d, %v; want a part, and a timeout", n, err)
	}
}

func TestCloseWakes(t *testing.T) {
	c, _ := pair(t)
	failed := make(chan error, 1)
	go func() { // ended by Close
		_, err := c.Read(make([]byte, 1))
		failed <- err
	}()
	c.Close()
	select {
	case err := <-failed:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v, want net.ErrClosed", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Read still waits")
	}
}

func TestNewOfOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if New(a) != a {
		t.Error("a pipe is no socket, and was wrapped")
	}
	c, _ := pair(t)
	if New(c) != net.Conn(c) {
		t.Error("wrapped twice")
	}
}

// What a connection of another kind does when it reads is not passed over.
func TestNewOfWrapped(t *testing.T) {
	c, _ := pair(t)
	type counted struct{ *net.TCPConn } // with a Read of its own
	wrapped := counted{c.Conn.(*net.TCPConn)}
	if New(wrapped) != net.Conn(wrapped) {
		t.Error("a connection over a socket was taken for the socket")
	}
}

func TestUnread(t *testing.T) {
	c, far := pair(t)
	c.Unread([]byte("abc"))
	far.Write([]byte("def"))
	var got []byte
	for b := make([]byte, 2); len(got) < 6; {
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "abcdef" {
		t.Errorf("read %q, want what was given back first", got)
	}
	c.Unread([]byte("x"))
	if n, err := c.ReadNow(make([]byte, 8)); n != 1 || err != nil {
		t.Errorf("ReadNow: %d, %v; want the byte that was given back", n, err)
	}
}

// A connection whose bytes keep coming, so that it never waits, lets others run
// all the same.
func TestBulkYields(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, far := pair(t)
	b := New(far)
	var over atomic.Bool
	var turns atomic.Int64
	done := make(chan bool)
	go func() { // ended by over
		defer close(done)
		for ; !over.Load(); turns.Add(1) {
			runtime.Gosched()
		}
	}()
	const piece, pieces = 64 << 10, 128
	buf := make([]byte, piece)
	for range pieces {
		if _, err := a.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, buf); err != nil {
			t.Fatal(err)
		}
	}
	got := turns.Load()
	over.Store(true)
	<-done
	if want := int64(pieces * piece / yieldAfter); got < want {
		t.Errorf("another goroutine had %d turns while %d MiB went both ways, want %d", got, pieces*piece>>20, want)
	}
}
