//go:build linux

package attacks

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dribble sends text on conns, a byte each second, until stop is closed.
func dribble(conns []net.Conn, text string, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		for _, nc := range conns {
			// An error is the connection's end, which ended counts.
			_, _ = nc.Write([]byte{text[i%len(text)]})
		}
	}
}

// slowly has connections to a door, each begun with first, send text slowly. It
// wants the relay to end them all within d.
func (s *siege) slowly(door string, n int, first, text string, d time.Duration) {
	s.Helper()
	conns := s.gather(door, n, func(i int) int { return i / 200 }, first)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { dribble(conns, text, stop) })
	if got := ended(conns, d); got != n {
		s.Errorf("%d of %d connections have ended within %v", got, n, d)
	}
	close(stop)
	wg.Wait()
}

// slowHeads is a flood of heads that come byte by byte: ten seconds is what one
// may take.
func slowHeads(s *siege) {
	s.slowly("http", scale(4000, 1000), "GET / HTTP/1.1\r\nHost: neighbour.localhost\r\nX-Slow: ", "x", 16*time.Second)
}

// slowBodies is a flood of bodies that come byte by byte from one address. No
// time bounds them, as an upload may be slow; their number is bounded.
func slowBodies(s *siege) {
	s.agent("victim")
	const most = 2000 // connections of one address
	n := scale(4000, most+200)
	conns := s.gather("http", n, func(int) int { return 0 }, "POST /sink HTTP/1.1\r\nHost: victim.localhost\r\nContent-Length: 1000000\r\n\r\n")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { dribble(conns, "x", stop) })
	var told, others atomic.Int64
	for _, nc := range conns {
		wg.Go(func() {
			nc.SetReadDeadline(time.Now().Add(4 * time.Second))
			switch status, cause, err := answer(nc); {
			case err == nil && status == 503 && cause == "overload":
				told.Add(1)
			case err == nil:
				others.Add(1)
			}
		})
	}
	time.Sleep(4 * time.Second) // under attack
	close(stop)
	wg.Wait()
	s.Logf("%d of %d connections were told that there is no room", told.Load(), n)
	if told.Load() == 0 || others.Load() > 0 {
		s.Errorf("%d connections of %d were told that there is no room, %d had another answer", told.Load(), n, others.Load())
	}
	for _, nc := range conns {
		nc.Close()
	}
	s.until("room when they have left", patience, func() bool {
		status, _, err := s.ask("victim", "/", 0)
		return err == nil && status == 200
	})
}
