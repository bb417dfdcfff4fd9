// Package delay is a stretch of network between two programs of one machine:
// a TCP proxy through which bytes take as long as over a distant link, and as
// wide a one. It measures what waits for round trips, which loopback hides.
package delay

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Config says where a Line leads, how long it is and how wide.
type Config struct {
	// Target is the address of what the line leads to.
	Target string

	// OneWay is what a byte takes from end to end. Both ways are alike.
	OneWay time.Duration

	// Rate is how many bits a second go each way, those of all connections
	// together. If zero, there is no bound.
	Rate int64
}

func (c *Config) roundTrip() time.Duration { return 2 * c.OneWay }

// A Line listens at its Addr and passes connections on, in both directions:
// what enters at t leaves at t + OneWay, behind what entered before it. A
// connection takes a round trip until its first byte is let in, as TCP's own
// handshake would. Half-closes and resets pass at the place where they came.
//
// A rate comes with a queue for about one round trip of bytes, as before a
// router; whoever sends more waits. Without a rate the queue is large enough
// never to be the bound.
type Line struct {
	cfg  Config
	ln   net.Listener
	done chan struct{} // closed by Close
	once sync.Once
	wg   sync.WaitGroup

	there, back *wire // towards Target, and from it
}

// Listen returns a line that serves until Close, at a free port of loopback.
func Listen(cfg Config) (*Line, error) {
	l := &Line{cfg: cfg, done: make(chan struct{})}
	l.there, l.back = newWire(&cfg), newWire(&cfg)
	lc := net.ListenConfig{Control: l.control}
	var err error
	if l.ln, err = lc.Listen(closing(l.done), "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen for a delay line: %w", err)
	}
	l.wg.Go(l.accept)
	return l, nil
}

// Addr is where the line's near end is.
func (l *Line) Addr() string { return l.ln.Addr().String() }

// Close resets what is connected, and returns after all that the line started
// has ended.
func (l *Line) Close() error {
	l.once.Do(func() { close(l.done) })
	err := l.ln.Close()
	l.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// control keeps what the kernel holds in front of the line small where there
// is a rate: it stands in the queue as well. Accepted connections inherit it
// (tcp(7)).
func (l *Line) control(_, _ string, raw syscall.RawConn) error {
	if l.there.kernel == 0 {
		return nil
	}
	var err error
	cerr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, l.there.kernel)
	})
	return errors.Join(cerr, err)
}

func (l *Line) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return // Close
		}
		l.wg.Go(func() { l.serve(near) })
	}
}

// serve passes one connection on; it owns near.
func (l *Line) serve(near net.Conn) {
	defer near.Close()
	d := net.Dialer{Control: l.control}
	far, err := d.DialContext(closing(l.done), "tcp", l.cfg.Target)
	if err != nil {
		reset(near)
		return
	}
	defer far.Close()
	if !l.wait(time.Now().Add(l.cfg.roundTrip())) {
		reset(near)
		reset(far)
		return
	}
	there := newFlow(l, l.there, near, far)
	back := newFlow(l, l.back, far, near)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // a closed line ends what is blocked
		select {
		case <-l.done:
			there.abort()
			back.abort()
		case <-over:
		}
	})
	var flows sync.WaitGroup
	flows.Go(there.read)
	flows.Go(there.write)
	flows.Go(back.read)
	flows.Go(back.write)
	flows.Wait()
	close(over)
	wg.Wait()
}

// wait returns at t, or false if the line was closed before.
func (l *Line) wait(t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

// reset closes conn so that its peer sees that it was cut.
func reset(conn net.Conn) {
	if tc, ok := conn.(*net.TCPConn); ok {
		_ = tc.SetLinger(0) // a connection that is gone needs none
	}
	conn.Close()
}
