package delay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns a line to a server that handle serves each connection of.
func start(t *testing.T, cfg Config, handle func(*net.TCPConn)) *Line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	cfg.Target = ln.Addr().String()
	l, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		ln.Close()
		wg.Wait()
	})
	return l
}

func dial(t *testing.T, l *Line) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func echo(conn *net.TCPConn) { io.Copy(struct{ io.Writer }{conn}, conn) }

// tries is how often a time is taken on a machine that others use.
const tries = 10

// within fails unless the least of the times that measure takes in a few tries
// is what is wanted, or at most a tenth more. Less is never right.
func within(t *testing.T, what string, want time.Duration, measure func() time.Duration) {
	t.Helper()
	best := time.Duration(1 << 62)
	for range tries {
		got := measure()
		if got < want {
			t.Fatalf("%s took %v, less than %v", what, got, want)
		}
		if best = min(best, got); best <= want*11/10 {
			return
		}
	}
	t.Errorf("%s took %v, want %v", what, best, want)
}

func TestDelay(t *testing.T) {
	const oneWay = 30 * time.Millisecond
	l := start(t, Config{OneWay: oneWay}, echo)
	ping := func(conn net.Conn) {
		if _, err := conn.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "connecting, and a first answer", 4*oneWay, func() time.Duration {
		began := time.Now()
		ping(dial(t, l))
		return time.Since(began)
	})
	conn := dial(t, l)
	ping(conn)
	within(t, "an answer", 2*oneWay, func() time.Duration {
		began := time.Now()
		ping(conn)
		return time.Since(began)
	})
}

// Without a rate, what is under way is not bounded by the round trip.
func TestWide(t *testing.T) {
	const oneWay, size = 100 * time.Millisecond, 32 << 20
	l := start(t, Config{OneWay: oneWay}, func(conn *net.TCPConn) {
		io.Copy(io.Discard, conn)
		conn.Write([]byte{1})
	})
	const bound = 10 * oneWay // a window of 4 MiB, as a kernel's, would take eight round trips
	best := time.Duration(1 << 62)
	for range tries {
		conn := dial(t, l)
		began := time.Now()
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if best = min(best, time.Since(began)); best <= bound {
			break
		}
	}
	if best < 4*oneWay || best > bound {
		t.Errorf("%d MiB took %v", size>>20, best)
	}
}

func TestRate(t *testing.T) {
	const (
		rate   = 20_000_000
		oneWay = 20 * time.Millisecond
		size   = 1 << 20
		wire   = size * 8 * time.Second / rate
	)
	for _, conns := range []int{1, 4} {
		down := func(conn *net.TCPConn) { conn.Write(make([]byte, size/conns)) }
		up := func(conn *net.TCPConn) {
			io.Copy(io.Discard, conn)
			conn.Write([]byte{1})
		}
		t.Run("down", func(t *testing.T) {
			l := start(t, Config{OneWay: oneWay, Rate: rate}, down)
			within(t, "a download", wire, func() time.Duration {
				return all(t, l, 3*oneWay, conns, func(conn *net.TCPConn) error {
					n, err := io.Copy(io.Discard, conn)
					if n != int64(size/conns) {
						t.Errorf("%d bytes came", n)
					}
					return err
				})
			})
		})
		t.Run("up", func(t *testing.T) {
			l := start(t, Config{OneWay: oneWay, Rate: rate}, up)
			within(t, "an upload", wire, func() time.Duration {
				return all(t, l, 4*oneWay, conns, func(conn *net.TCPConn) error {
					_, err := conn.Write(make([]byte, size/conns))
					err = errors.Join(err, conn.CloseWrite())
					_, rerr := io.ReadFull(conn, make([]byte, 1))
					return errors.Join(err, rerr)
				})
			})
		})
	}
}

// all runs do over n connections at once and returns how long that took, less
// what it takes at any rate: a handshake and the ways.
func all(t *testing.T, l *Line, ways time.Duration, n int, do func(*net.TCPConn) error) time.Duration {
	t.Helper()
	began := time.Now()
	var wg sync.WaitGroup
	for range n {
		conn := dial(t, l)
		wg.Go(func() {
			if err := do(conn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(began) - ways
}

// What waits before a rate is about a round trip of bytes.
func TestQueue(t *testing.T) {
	const rate, oneWay, trip = 20_000_000, 20 * time.Millisecond, 40 * time.Millisecond
	l := start(t, Config{OneWay: oneWay, Rate: rate}, echo)
	bulk, small := dial(t, l), dial(t, l)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer bulk.Close()
	wg.Go(func() { io.Copy(io.Discard, bulk) })
	wg.Go(func() {
		for block := make([]byte, 64<<10); ; {
			if _, err := bulk.Write(block); err != nil {
				return
			}
		}
	})
	ping := func() time.Duration {
		began := time.Now()
		if _, err := small.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(small, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	for began := time.Now(); time.Since(began) < 10*trip; { // until the queue is full
		ping()
	}
	// Both ways are full: a trip, and a queue in each.
	const low, high = 3 * trip / 2, 4 * trip
	best := time.Duration(1 << 62)
	for range tries {
		var all []time.Duration
		for range 15 {
			all = append(all, ping())
		}
		slices.Sort(all)
		if best = min(best, all[len(all)/2]); best <= high {
			break
		}
	}
	if best < low || best > high {
		t.Errorf("an answer beside bulk takes %v, of a round trip of %v", best, trip)
	}
}

func TestIntact(t *testing.T) {
	for _, rate := range []int64{0, 400_000_000} {
		l := start(t, Config{OneWay: 5 * time.Millisecond, Rate: rate}, echo)
		sent := make([]byte, 8<<20)
		random := rand.NewChaCha8([32]byte{1})
		random.Read(sent)
		conn := dial(t, l)
		var wg sync.WaitGroup
		wg.Go(func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(100_000))
				if _, err := conn.Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
			conn.CloseWrite()
		})
		got, err := io.ReadAll(conn)
		wg.Wait()
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("rate %d: %d bytes with digest %x came back, sent %d with %x (%v)",
				rate, len(got), sha256.Sum256(got), len(sent), sha256.Sum256(sent), err)
		}
	}
}

// Ends pass: a half-close leaves the other way open, a reset is one.
func TestEnds(t *testing.T) {
	l := start(t, Config{OneWay: time.Millisecond}, func(conn *net.TCPConn) {
		if p, _ := io.ReadAll(conn); len(p) > 0 {
			conn.Write(p)
			return
		}
		conn.SetLinger(0)
	})
	conn := dial(t, l)
	conn.Write([]byte("end"))
	conn.CloseWrite()
	if p, err := io.ReadAll(conn); string(p) != "end" || err != nil {
		t.Errorf("after a half-close: %q, %v", p, err)
	}
	conn = dial(t, l)
	conn.CloseWrite()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	nobody, err := Listen(Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	near, err := net.Dial("tcp", nobody.Addr())
	if err == nil {
		_, err = near.Read(make([]byte, 1))
		near.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("where nobody listens: %v", err)
	}
}

// Close ends what is under way, at whatever place.
func TestCloseBusy(t *testing.T) {
	for range 5 {
		l := start(t, Config{OneWay: time.Millisecond, Rate: 20_000_000}, echo)
		var wg sync.WaitGroup
		for range 4 {
			conn := dial(t, l)
			wg.Go(func() { io.Copy(io.Discard, conn) })
			wg.Go(func() {
				for block := make([]byte, 64<<10); ; {
					if _, err := conn.Write(block); err != nil {
						return
					}
				}
			})
		}
		conn := dial(t, l)
		conn.Write([]byte{1})
		conn.Read(make([]byte, 1))
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

// A reader that a closed line ends leaves no writer waiting.
func TestReadEnds(t *testing.T) {
	cfg := Config{Rate: 8} // two reads fill its queue
	l := &Line{cfg: cfg, done: make(chan struct{})}
	close(l.done)
	src, peer := net.Pipe()
	dst, far := net.Pipe()
	defer peer.Close()
	defer far.Close()
	f := newFlow(l, newWire(&cfg), src, dst)
	var wg sync.WaitGroup
	wg.Go(func() { peer.Write(make([]byte, 3*least)) })
	f.read()
	wg.Wait()
	f.mu.Lock()
	f.queue = nil // as if written
	f.mu.Unlock()
	ended := make(chan bool, 1)
	go func() {
		_, ok := f.first()
		ended <- ok
	}()
	select {
	case ok := <-ended:
		if ok {
			t.Error("there is a piece")
		}
	case <-time.After(5 * time.Second):
		t.Error("a writer waits for ever")
		f.abort()
	}
}

// Close ends what waits, however long the line is.
func TestClose(t *testing.T) {
	l := start(t, Config{OneWay: time.Hour}, echo)
	conn := dial(t, l)
	conn.Write([]byte{1})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives its line")
	}
}
