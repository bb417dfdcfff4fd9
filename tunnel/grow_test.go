package tunnel

import (
	"testing"
	"time"
)

// Over a long way the window grows as far as the way is long, and is given
// back with the exchange.
func TestWindowGrowsWithTheWay(t *testing.T) {
	const size = 48 << 20
	a, r := farPair(t, 10*time.Millisecond)
	_, relay := pair(t, a, r, sends(size))
	x := begin(t, relay)
	if n, err := receive(x); n != size || err != nil {
		t.Fatalf("%d bytes, %v; want %d", n, err, size)
	}
	if rtt := x.lane.session.roundTrip(); rtt < 20*time.Millisecond || rtt > time.Second {
		t.Errorf("round trip of %v, want 20ms and little more", rtt)
	}
	if x.in.window.size <= 1<<20 {
		t.Errorf("a window of %d KiB after %d MiB, want above 1 MiB", x.in.window.size>>10, size>>20)
	}
	x.Close()
	until(t, "return of the window", func() bool { return relay.spare.taken.Load() == 0 })

	// Also if the lane has ended before.
	x = begin(t, relay)
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	for x.in.window.size == firstWindow {
		if _, err := x.Data(); err != nil {
			t.Fatal(err)
		}
	}
	relay.Close()
	within(t, "end of the session", relay.Done())
	x.Close()
	if n := relay.spare.taken.Load(); n != 0 {
		t.Errorf("%d bytes of window are not given back", n)
	}
}

// sends answers with size bytes.
func sends(size int64) func(*Exchange) {
	return func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: size})
		buf := make([]byte, 1<<20)
		for range size >> 20 {
			if _, err := x.Write(buf); err != nil {
				return
			}
		}
		x.End(nil)
	}
}

// It grows as well over a way that was shorter when it was measured.
func TestWindowGrowsOnALongerWay(t *testing.T) {
	const size = 16 << 20
	a, r := farPair(t, 25*time.Millisecond)
	_, relay := pair(t, a, r, sends(size))
	x := begin(t, relay)
	x.lane.session.rtt.Store(int64(40 * time.Millisecond))
	if n, err := receive(x); n != size || err != nil {
		t.Fatalf("%d bytes, %v; want %d", n, err, size)
	}
	if x.in.window.size <= 1<<20 {
		t.Errorf("a window of %d KiB after %d MiB, want above 1 MiB", x.in.window.size>>10, size>>20)
	}
	x.Close()
}

// What a visitor's sockets take in, before it reads at all, does not make a
// window large that nobody drains.
func TestWindowOfReaderThatStalls(t *testing.T) {
	a, r := farPair(t, 10*time.Millisecond)
	_, relay := pair(t, a, r, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		<-fill(x)
	})
	x := get(t, relay)
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	for read := 0; read < 6<<20; {
		p, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		read += len(p)
	}
	if x.in.window.size > 8<<20 {
		t.Errorf("a window of %d MiB after 6 MiB, want 8 MiB at most", x.in.window.size>>20)
	}
}

// A window grows that lasts for two round trips at most, and for less than one
// without its reader's waits: a reader that always finds something has enough,
// and so has a peer that sends little.
func TestWindowGrowsToWhatItsReaderTakes(t *testing.T) {
	_, relay := tcpPair(t, sends(1<<20))
	x := begin(t, relay)
	defer x.Close()
	s := x.lane.session
	tests := []struct {
		name         string
		trip         time.Duration
		lasted, wait time.Duration // of 512 KiB
		want         int64
	}{
		{"a long way, and a reader that waits", 100 * time.Millisecond, 100 * time.Millisecond, 99 * time.Millisecond, 2 << 20},
		{"a long way, and a reader that is as slow", 100 * time.Millisecond, 100 * time.Millisecond, 0, 1 << 20},
		{"a long way, and a reader that is faster", 100 * time.Millisecond, 90 * time.Millisecond, 0, 2 << 20},
		{"a short way, and a reader that waits for a processor", time.Millisecond, 10 * time.Millisecond, 8 * time.Millisecond, 1 << 20},
		{"no time at all", time.Millisecond, 0, 0, 2 << 20},
		{"a long way, and a peer that sends slowly", 100 * time.Millisecond, 200 * time.Millisecond, 199 * time.Millisecond, 1 << 20},
		{"a short way, and a peer that sends now and then", time.Millisecond, time.Second, time.Second, 1 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.rtt.Store(int64(tt.trip))
			now := time.Now()
			w := &window{x: x, size: 1 << 20, since: now.Add(-tt.lasted), waited: tt.wait}
			w.grow(now)
			if w.size != tt.want {
				t.Errorf("a window of %d KiB, want %d", w.size>>10, tt.want>>10)
			}
			s.giveBack(w.size - 1<<20)
		})
	}
}

// What a reader waited for is noted once its window may grow again, and where the
// first one was used up.
func TestReaderNotesItsWaits(t *testing.T) {
	const pause, tries = 20 * time.Millisecond, 3
	const size = firstWindow + tries
	more, over := make(chan bool, tries), make(chan bool)
	defer close(over)
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: size})
		x.Write(make([]byte, firstWindow))
		x.Flush()
		for range tries {
			select {
			case <-more:
			case <-over:
			}
			x.Write([]byte{0})
			x.Flush()
		}
		x.End(nil)
	})
	x := begin(t, relay)
	defer x.Close()
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	for x.in.received < firstWindow {
		if _, err := x.Data(); err != nil {
			t.Fatal(err)
		}
	}
	// On a machine that stalls a byte may be there when it is asked for: one of
	// them is enough.
	var most time.Duration
	for range tries {
		before := x.in.window.waited
		time.AfterFunc(pause, func() { more <- true })
		if _, err := x.Data(); err != nil {
			t.Fatal(err)
		}
		most = max(most, x.in.window.waited-before)
	}
	if most < pause/2 {
		t.Errorf("waits of %v noted as %v", pause, most)
	}
}

// A peer that sends less than the way would carry gets no large window.
func TestWindowOfSlowPeerIsSmall(t *testing.T) {
	const calm, tries = slowSize / slowPiece * slowPause * 11 / 10, 5
	for range tries {
		// On a machine that stalls the peer is not slow, but late with much.
		window, took := slowPeer(t)
		switch {
		case window <= 1<<20:
			return
		case took < calm:
			t.Fatalf("a window of %d KiB for 64 KiB a round trip", window>>10)
		}
	}
	t.Skipf("the machine stalls: a slow peer is late in each of %d tries", tries)
}

// What a slow peer sends: a piece at a time, with a pause before each.
const (
	slowSize  = 8 << 20
	slowPiece = 64 << 10
	slowPause = 10 * time.Millisecond
)

// slowPeer receives from a slow peer, a round trip of as long as its pause away, and
// returns the window that it got, and how long it took.
func slowPeer(t *testing.T) (window int64, took time.Duration) {
	a, r := farPair(t, slowPause/2)
	_, relay := pair(t, a, r, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: slowSize})
		tick := time.NewTicker(slowPause)
		defer tick.Stop()
		for range slowSize / slowPiece {
			<-tick.C
			if _, err := x.Write(make([]byte, slowPiece)); err != nil {
				return
			}
			x.Flush()
		}
		x.End(nil)
	})
	x := begin(t, relay)
	defer x.Close()
	began := time.Now()
	if n, err := receive(x); n != slowSize || err != nil {
		t.Fatalf("%d bytes, %v; want %d", n, err, slowSize)
	}
	return x.in.window.size, time.Since(began)
}
