package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// controlPending bounds the control frames that a peer has not taken;
	// one that reads none of them is cut off.
	controlPending = 64 << 10

	// pingRate and pingBurst bound the PINGs that are answered.
	pingRate  = 10 // a second
	pingBurst = 100
)

// errControlUnread is why a lane ended whose peer takes no messages.
var errControlUnread = errors.New("peer does not read its control stream")

// A control is the control stream of a lane. Sending never blocks: frames are
// gathered and written by a goroutine that lives while there are any.
type control struct {
	lane   *lane
	stream *yamux.Stream

	mu      sync.Mutex
	pending []byte          // guarded by mu
	writing bool            // guarded by mu
	written chan struct{}   // guarded by mu; if not nil, closed when nothing is pending
	pongs   []chan struct{} // guarded by mu; who waits for the next PONG
	open    int             // guarded by mu; PINGs that are not answered
	asked   time.Time       // guarded by mu; when the first of them was sent, zero once that is answered

	pings  int       // owned by receive
	filled time.Time // owned by receive
	frames bucket    // owned by receive; of an agent
}

func newControl(l *lane, stream *yamux.Stream) *control {
	return &control{lane: l, stream: stream, pings: pingBurst, filled: time.Now()}
}

// send queues what add appends. The first brings a PING along: a later answer may
// have to wait behind bodies.
func (c *control) send(add func([]byte) ([]byte, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > controlPending {
		c.lane.spawn(func() { c.lane.close(errControlUnread) })
		return errControlUnread
	}
	p, err := add(c.pending)
	if err != nil {
		return err
	}
	if c.open == 0 && c.lane.session.rtt.Load() == 0 {
		p = c.ask(p)
	}
	c.pending = p
	if !c.writing {
		c.writing = true
		c.lane.spawn(c.flush)
	}
	return nil
}

// flush writes until nothing is pending; closing the lane ends it.
func (c *control) flush() {
	var batch []byte
	for {
		c.mu.Lock()
		batch, c.pending = c.pending, batch[:0]
		c.writing = len(batch) > 0
		if !c.writing && c.written != nil {
			close(c.written)
			c.written = nil
		}
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for len(batch) > 0 {
			n, err := c.stream.Write(batch[:min(len(batch), minChunk)])
			if err != nil {
				c.lane.fail(c.lane.linkError(err))
				c.fail()
				return
			}
			batch = batch[n:]
		}
	}
}

// fail lets idle return: nothing will be written any more.
func (c *control) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written != nil {
		close(c.written)
		c.written = nil
	}
}

// idle returns when all that was sent has been written, after d at the latest.
func (c *control) idle(d time.Duration) {
	c.mu.Lock()
	if !c.writing {
		c.mu.Unlock()
		return
	}
	if c.written == nil {
		c.written = make(chan struct{})
	}
	written := c.written
	c.mu.Unlock()
	select {
	case <-written:
	case <-time.After(d):
	}
}

func (c *control) message(m Message) error {
	return c.send(func(b []byte) ([]byte, error) { return appendMessage(b, m) })
}

func (c *control) reset(r reset) {
	// An error is the lane's end, which resets the exchange as well.
	_ = c.send(func(b []byte) ([]byte, error) { return appendReset(b, r), nil })
}

// ping sends a PING; answered, if not nil, is closed by the next PONG.
func (c *control) ping(answered chan struct{}) {
	_ = c.send(func(b []byte) ([]byte, error) {
		if answered != nil {
			c.pongs = append(c.pongs, answered)
		}
		return c.ask(b), nil
	})
}

// ask appends a PING. One sent while others are open is not measured: whose
// answer a PONG is, nothing says. mu is held.
func (c *control) ask(b []byte) []byte {
	if c.open == 0 {
		c.asked = time.Now()
	}
	c.open++
	return append(b, typePing, 0, 0, 0)
}

func (c *control) credit(k credit) {
	// An error is the lane's end.
	_ = c.send(func(b []byte) ([]byte, error) { return appendCredit(b, k), nil })
}

// receive reads frames until the stream or the protocol ends.
func (c *control) receive() error {
	var head [frameHeaderLen]byte
	var payload []byte
	for {
		if _, err := io.ReadFull(c.stream, head[:]); err != nil {
			return c.lane.linkError(err)
		}
		typ := head[0] & frameType
		n := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
		if n > maxControl {
			return fmt.Errorf("control frame of %d bytes exceeds %d", n, maxControl)
		}
		if cap(payload) < n {
			payload = make([]byte, n)
		}
		payload = payload[:n]
		if _, err := io.ReadFull(c.stream, payload); err != nil {
			return c.lane.linkError(err)
		}
		c.lane.consumed.Add(int64(frameHeaderLen + n))
		if err := c.frame(typ, head[0]&frameIgnore != 0, payload); err != nil {
			return err
		}
	}
}

func (c *control) frame(typ byte, ignorable bool, payload []byte) error {
	if !c.lane.session.agent && !c.frames.take(stamp(time.Now())) {
		return errFlood
	}
	switch typ {
	case typePing:
		c.stream.Shrink() // an idle lane has no other frames
		if err := c.allowPing(); err != nil {
			return err
		}
		return c.send(func(b []byte) ([]byte, error) { return append(b, typePong, 0, 0, 0), nil })
	case typePong:
		c.stream.Shrink()
		c.answered()
		return nil
	case typeReset:
		r, err := decodeReset(payload)
		if err != nil {
			return err
		}
		c.lane.reset(r)
		return nil
	case typeCredit:
		k, err := decodeCredit(payload)
		if err != nil {
			return err
		}
		c.lane.credit(k)
		return nil
	}
	// In a goroutine of its own, as a message is rare and decoding it takes a
	// larger stack than an idle lane should keep.
	done := make(chan error)
	go func() { done <- c.rare(typ, ignorable, payload) }()
	err := <-done
	c.stream.Shrink()
	return err
}

// rare is frame for those whose payload is JSON, or that are unknown.
func (c *control) rare(typ byte, ignorable bool, payload []byte) error {
	m, err := decodeMessage(typ, payload)
	if refusal, ok := errors.AsType[*BindError](err); ok {
		return c.message(refusal)
	}
	if err != nil {
		return err
	}
	if m == nil {
		if ignorable {
			return nil
		}
		return fmt.Errorf("unknown control frame %d", typ)
	}
	return c.lane.session.deliver(c.lane, m)
}

// answered takes a PONG.
func (c *control) answered() {
	c.mu.Lock()
	pongs, asked := c.pongs, c.asked
	last := c.open == 1
	c.pongs, c.asked, c.open = nil, time.Time{}, max(c.open-1, 0)
	c.mu.Unlock()
	if !asked.IsZero() {
		c.lane.session.measured(time.Since(asked))
	}
	if last && c.lane.session.trips.Load() < firstTrips {
		c.ping(nil)
	}
	for _, answered := range pongs {
		close(answered)
	}
}

func (c *control) allowPing() error {
	now := time.Now()
	if n := int(now.Sub(c.filled) * pingRate / time.Second); n > 0 {
		c.pings = min(pingBurst, c.pings+n)
		c.filled = now
	}
	if c.pings == 0 {
		return errors.New("peer floods the link with PINGs")
	}
	c.pings--
	return nil
}

// roundTrip asks the peer for a sign of life.
func (c *control) roundTrip(ctx context.Context) error {
	answered := make(chan struct{})
	c.ping(answered)
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.lane.mux.CloseChan():
		return c.lane.cause()
	}
}
