package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel/nbio"
)

// A batch that the connection does not take for a second is a stall.
func TestLinkStalls(t *testing.T) {
	for wait, want := range map[time.Duration]uint64{stallTime - 1: 0, stallTime: 1} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{open: make(chan bool)}
			l := newLink(g)
			defer l.Close()
			l.stalls = new(atomic.Uint64)
			l.Write(muxOpen(1))
			time.Sleep(wait) // of the bubble
			g.open <- true
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := l.stalls.Load(); got != want {
				t.Errorf("%v: got %d stalls, want %d", wait, got, want)
			}
		})
	}
}

// A gate is a connection whose writes wait until they are let through.
type gate struct {
	net.Conn // nil
	open     chan bool
	mu       sync.Mutex
	writes   [][]byte // guarded by mu
	err      error
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = append(g.writes, bytes.Clone(p))
	return len(p), g.err
}

// let lets one Write pass.
func (g *gate) let(t testing.TB) {
	t.Helper()
	select {
	case g.open <- true:
	case <-time.After(patience):
		t.Fatalf("no Write after %v", patience)
	}
}

func (g *gate) Close() error { return nil }

// All that gathers while a write is under way goes out in the next, and a
// header is never sent without its body.
func TestLinkBatches(t *testing.T) {
	g := &gate{open: make(chan bool)}
	l := newLink(g)
	first := muxOpen(1)
	l.Write(first)
	until(t, "the first write", func() bool { return l.sending.Load() != 0 })
	var want []byte
	for i := range 100 {
		body := bytes.Repeat([]byte{byte(i)}, i)
		h := muxFrame(muxData, 0, 2, i)
		l.Write(h)
		want = append(want, h...)
		if i > 0 {
			l.Write(body)
			want = append(want, body...)
		}
	}
	for range 2 {
		g.let(t)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if len(g.writes) != 2 || !bytes.Equal(g.writes[0], first) || !bytes.Equal(g.writes[1], want) {
		t.Errorf("%d writes", len(g.writes))
	}

	body := bytes.Repeat([]byte("b"), muxHeaderLen) // as long as a header
	l.Write(muxFrame(muxData, 0, 2, len(body)))
	flushed := make(chan error, 1)
	go func() { flushed <- l.Flush() }()
	select {
	case g.open <- true:
		t.Error("a header goes out without its body")
	case <-flushed:
		t.Error("Flush does not wait for a body")
	case <-time.After(20 * time.Millisecond):
	}
	l.Write(body)
	g.let(t)
	if err := within(t, "Flush", flushed); err != nil {
		t.Error(err)
	}
	if n := len(g.writes[2]); n != 2*muxHeaderLen {
		t.Errorf("%d bytes, want header and body", n)
	}
	close(g.open)
	l.Close()
}

// Write waits while a batch does; an error or Close wakes it, and stays.
func TestLinkWriteIsBounded(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		end  func(*link, *gate)
		want error
	}{
		"error": {func(_ *link, g *gate) { g.err = boom; close(g.open) }, boom},
		"close": {func(l *link, g *gate) {
			go l.Close()
			until(t, "Close", func() bool { return l.cause() != nil })
			close(g.open)
		}, errLinkClosed},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gate{open: make(chan bool)}
			l := newLink(g)
			l.Write(muxOpen(1))
			until(t, "the first write", func() bool { return l.sending.Load() != 0 })
			ended := make(chan error, 1)
			go func() {
				for {
					if _, err := l.Write(muxBytes(2, make([]byte, 1000))); err != nil {
						ended <- err
						return
					}
				}
			}()
			until(t, "a Write that waits", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.pending != nil && len(*l.pending) >= linkBatch
			})
			l.mu.Lock()
			if n := cap(*l.pending); n > linkBuffer {
				t.Errorf("%d bytes are pending", n)
			}
			l.mu.Unlock()
			tt.end(l, g)
			if err := within(t, "end of Write", ended); !errors.Is(err, tt.want) {
				t.Errorf("Write: %v, want %v", err, tt.want)
			}
			if _, err := l.Write([]byte("x")); !errors.Is(err, tt.want) {
				t.Errorf("a later Write: %v, want %v", err, tt.want)
			}
			if err := l.Flush(); !errors.Is(err, tt.want) {
				t.Errorf("Flush: %v, want %v", err, tt.want)
			}
			l.Close()
		})
	}
}

// A reader that asks for little gets the bytes of large reads, each once and
// in order, and then the error.
func TestLinkReads(t *testing.T) {
	want := make([]byte, 0, 1<<20)
	for i := 0; len(want) < 1<<20; i++ {
		want = append(want, muxBytes(uint32(i), bytes.Repeat([]byte{byte(i)}, i%3000))...)
	}
	for _, size := range []int{1, 11, 12, 4096, 100_000} {
		a, r := connPair(t)
		go func() { a.Write(want); a.Close() }()
		l := newLink(r)
		got := make([]byte, 0, len(want))
		buf := make([]byte, size)
		var err error
		for err == nil {
			var n int
			n, err = l.Read(buf)
			got = append(got, buf[:n]...)
		}
		if err != io.EOF || !bytes.Equal(got, want) {
			t.Errorf("reads of %d: %d bytes, want %d; %v", size, len(got), len(want), err)
		}
		if l.guard.partial() || l.partial.Load() != 0 {
			t.Errorf("reads of %d: a frame counts as half sent", size)
		}
		l.Close()
	}
}

// What the guard refuses is not read, and is the link's error.
func TestLinkRefuses(t *testing.T) {
	a, r := connPair(t)
	defer a.Close()
	a.Write(append(muxOpen(1), muxFrame(muxPing, muxSYN, 0, 0)...))
	l := newLink(r)
	defer l.Close()
	buf := make([]byte, 100)
	if n, err := l.Read(buf[:muxHeaderLen]); n != muxHeaderLen || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := l.Read(buf); n != 0 || !errors.Is(err, errPing) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := l.Write(buf); !errors.Is(err, errPing) {
		t.Errorf("Write: %v", err)
	}
}

// A deadline of the closing session reaches a flusher that is stuck.
func TestLinkFlushEnds(t *testing.T) {
	a, r := net.Pipe()
	defer a.Close()
	l := newLink(r)
	defer l.Close()
	l.Write(muxOpen(1))
	l.SetWriteDeadline(past)
	if err := l.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
}

// The rate of frames that carry nothing is bounded, whatever the clock does.
func TestGuardRate(t *testing.T) {
	const start = int64(1_700_000_000) * int64(time.Second)
	tests := []struct {
		name  string
		every time.Duration // between two frames
		n     int
		want  error
	}{
		{"a burst", 0, controlBurst, nil},
		{"a flood", 0, controlBurst + 1, errFlood},
		{"just below the rate", time.Second/controlRate + time.Microsecond, 10 * controlBurst, nil},
		{"twice the rate", time.Second / controlRate / 2, 10 * controlBurst, errFlood},
		{"one an hour", time.Hour, 3 * controlBurst, nil},
		{"one in three days", 72 * time.Hour, 3 * controlBurst / 10, nil},
		{"the clock runs back", -time.Second, 3 * controlBurst, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g guard
			var err error
			now := start
			for i := 0; i < tt.n && err == nil; i++ {
				err = g.feed(muxFrame(muxWindowUpdate, 0, 1, 0), now)
				now += int64(tt.every)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if g.tokens < 0 || g.tokens > controlBurst {
				t.Errorf("%d tokens", g.tokens)
			}
		})
	}
	for _, days := range []int64{6, 8, 30, 100, 300} {
		t.Run(fmt.Sprintf("a flood after %d days", days), func(t *testing.T) {
			var g guard
			now := start
			for i := range 2 * controlBurst {
				if i == controlBurst {
					now += days * int64(24*time.Hour)
				}
				if err := g.feed(muxOpen(1), now); err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
			}
			if err := g.feed(muxOpen(1), now); !errors.Is(err, errFlood) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFramesFitTheLink(t *testing.T) {
	tests := []struct {
		name  string
		chunk int // before
		n     int
		took  time.Duration
		want  int
	}{
		{"a fast one enlarges them", 2 * minChunk, 2 * minChunk, time.Microsecond, 3 * minChunk},
		{"up to a bound", maxChunk, maxChunk, time.Microsecond, maxChunk},
		{"a slow one gets small ones at once", maxChunk, maxChunk, time.Second, minChunk},
		{"one between gets what it takes in time", maxChunk, maxChunk, 2 * frameTime, maxChunk / 2},
		{"little says nothing", maxChunk, minChunk, time.Second, maxChunk},
		{"no time is a short one", minChunk, minChunk, 0, 2 * minChunk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := new(link)
			l.chunk.Store(int32(tt.chunk))
			l.adapt(tt.n, tt.took)
			if got := int(l.chunk.Load()); got != tt.want {
				t.Errorf("frames of %d bytes after %d bytes in %v, want %d", got, tt.n, tt.took, tt.want)
			}
		})
	}
}

// A large body that waits behind another write is not sent any more once the
// link has failed.
func TestLinkFailsWhileLargeBodyWaits(t *testing.T) {
	near, far := connPair(t)
	defer far.Close()
	conn, ok := nbio.New(near).(*nbio.Conn)
	if !ok {
		t.Skip("a body is never written by itself on this system")
	}
	stuff(t, conn)
	l := newLink(conn)
	defer l.Close()
	// The system may find room for a few frames more.
	until(t, "a write that is stuck", func() bool {
		since := l.sending.Load()
		if since == 0 {
			l.Write(muxOpen(1))
		}
		return since != 0 && stamp(time.Now())-since > int64(200*time.Millisecond)
	})
	body := make([]byte, maxChunk)
	l.Write(muxFrame(muxData, 0, 2, len(body)))
	wrote := make(chan error, 1)
	go func() { // ended by fail, or by Close
		_, err := l.Write(body)
		wrote <- err
	}()
	cause := errors.New("cause")
	defer time.AfterFunc(20*time.Millisecond, func() { l.fail(cause) }).Stop()
	if err := within(t, "end of Write", wrote); err != cause {
		t.Errorf("Write: %v, want %v", err, cause)
	}
}
