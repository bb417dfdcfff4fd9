package tunnel

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// acceptBacklog bounds the streams that wait to be accepted; openBacklog
	// those that are opened and wait for that, which therefore is no larger.
	// An idle lane holds a pointer for each of its own.
	acceptBacklog = 256
	openBacklog   = 64
)

// ErrClosed is why a session ended that this side closed.
var ErrClosed = errors.New("session closed")

// A lane is one connection of a session: a multiplexer, its control stream and
// the streams that exchanges run on.
type lane struct {
	session *Session
	link    *link
	mux     *yamux.Session
	control *control

	onDemand bool // of Hello; set before the lane is one of its session

	live     atomic.Int32 // exchanges under way
	bulk     atomic.Int32 // of them, those that have become large
	opening  atomic.Int32 // exchanges that wait for a stream
	unopened atomic.Int64 // since when no stream could be opened, a stamp; 0 if one was
	due      atomic.Int64 // when the heart is to beat next, a stamp
	arrived  atomic.Int64 // bytes of streams that came
	consumed atomic.Int64 // of them, those that were read
	waking   atomic.Bool  // wake was called

	mu        sync.Mutex
	idle      []*Exchange          // guarded by mu; last in, first out
	first     *yamux.Stream        // guarded by mu; the control stream
	exchanges map[uint32]*Exchange // guarded by mu; by stream
	early     map[uint32]reset     // guarded by mu; by stream not yet accepted
	newest    uint32               // guarded by mu; the last stream accepted
	err       error                // guarded by mu; why the lane ended
	heart     *time.Timer          // guarded by mu
	ended     bool                 // guarded by mu

	wg sync.WaitGroup // all that the lane started
}

// muxConfig leaves to the multiplexer only what it does well: its timeouts
// close whole sessions or corrupt windows, its pings queue behind bulk data.
func muxConfig(backlog int) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          backlog,
		KeepAliveInterval:      time.Hour, // must not be zero; keep-alive is off
		ConnectionWriteTimeout: time.Hour,
		MaxStreamWindowSize:    muxWindow,
		Logger:                 silent{},
	}
}

// silent is the multiplexer's logger. It writes a line for each stray frame,
// which a peer could send at will; what matters arrives as an error.
type silent struct{}

func (silent) Print(...any)          {}
func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// newLane starts a multiplexer over conn, which the lane owns from here on.
func newLane(s *Session, conn net.Conn) (*lane, error) {
	l := &lane{session: s, link: newLink(conn), exchanges: make(map[uint32]*Exchange)}
	l.link.failing, l.link.ending, l.link.arrived = l.wake, l.wakeAll, l.held
	l.link.stalls, l.link.guard.single = &s.stalls, !s.agent
	start, backlog := yamux.Server, openBacklog
	if s.agent {
		start, backlog = yamux.Client, acceptBacklog
	}
	mux, err := start(l.link, muxConfig(backlog))
	if err != nil {
		l.link.Close()
		return nil, fmt.Errorf("start multiplexer: %w", err)
	}
	l.mux = mux
	return l, nil
}

// run serves the lane until it ends, and returns why. Everything it started
// has ended when it returns.
func (l *lane) run() error {
	l.mu.Lock()
	if !l.ended {
		l.due.Store(stamp(time.Now().Add(pingAfter)))
		l.heart = time.AfterFunc(pingAfter, l.beat)
	}
	l.mu.Unlock()
	var accepted chan error
	if l.session.agent {
		accepted = make(chan error, 1)
		if !l.spawn(func() { accepted <- l.accept() }) {
			accepted <- ErrClosed
		}
	}
	// Before the lane ends all that came is heard: a RESET says why.
	err := l.control.receive()
	switch {
	case !l.mux.IsClosed():
	case accepted != nil:
		err = <-accepted
	default: // an agent opens no second stream
		_, closed := l.mux.AcceptStream()
		err = l.linkError(closed)
	}
	l.close(err)
	l.wg.Wait()
	return l.cause()
}

// spawn runs fn in a goroutine that run waits for; not once the lane has ended,
// when it returns false.
func (l *lane) spawn(fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.wg.Go(fn)
	}
	return !l.ended
}

// openControl opens (agent) or accepts (relay) the control stream, the first
// of the lane.
func (l *lane) openControl() error {
	var stream *yamux.Stream
	var err error
	if l.session.agent {
		stream, err = l.mux.OpenStream()
	} else {
		stop := time.AfterFunc(prefaceTimeout, func() { l.mux.Close() })
		stream, err = l.mux.AcceptStream()
		stop.Stop()
	}
	if err != nil {
		return fmt.Errorf("open control stream: %w", l.linkError(err))
	}
	l.mu.Lock()
	l.first = stream
	l.mu.Unlock()
	l.control = newControl(l, stream)
	return nil
}

// wake ends every wait of an exchange for the multiplexer, which is about to
// close: while it does, a stream's reader and writer would turn in a circle, and
// many of them leave it no time to. What has arrived is still read.
func (l *lane) wake() {
	l.waking.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.exchanges {
		x.wake()
	}
}

// wakeAll is wake once the multiplexer is closing: exchanges may have come, and
// the control stream has heard all that it will.
func (l *lane) wakeAll() {
	l.mu.Lock()
	first := l.first
	l.mu.Unlock()
	if first != nil {
		_ = first.SetDeadline(past) // which cannot fail
	}
	l.wake()
}

// closing reports whether the multiplexer has closed or is about to.
func (l *lane) closing() bool { return l.waking.Load() || l.mux.IsClosed() }

// linkError prefers what the link knows to the multiplexer's own error.
func (l *lane) linkError(err error) error {
	if cause := l.link.cause(); cause != nil && !errors.Is(cause, errLinkClosed) {
		return cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
		return io.ErrUnexpectedEOF
	}
	return errors.New(err.Error()) // no error of the multiplexer leaves the package
}

// abandon gives up the exchanges under way.
func (l *lane) abandon(f *Failure) {
	l.mu.Lock()
	open := slices.Collect(maps.Values(l.exchanges))
	l.mu.Unlock()
	for _, x := range open {
		x.abandon(f)
	}
}

// fail ends the lane because of err. When the multiplexer has closed, err says
// no more than that, and run ends the lane.
func (l *lane) fail(err error) {
	if !l.mux.IsClosed() {
		l.close(err)
	}
}

// close ends the lane now; open exchanges fail with LinkLost. The first cause
// given stays. It does not wait for what the lane started.
func (l *lane) close(cause error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	l.err = cause
	if l.heart != nil {
		l.heart.Stop()
	}
	open := slices.Collect(maps.Values(l.exchanges))
	l.idle = nil
	l.mu.Unlock()
	for _, x := range open {
		x.lost(cause)
	}
	l.wake()
	l.mux.Close()
}

// flush sends what is queued, for at most d.
func (l *lane) flush(d time.Duration) {
	// A connection that takes no deadline is closed when d is over.
	if err := l.link.SetWriteDeadline(time.Now().Add(d)); err != nil {
		return
	}
	l.control.idle(d)
	// An error is the link's end, which the lane finds by itself.
	_ = l.link.Flush()
}

// cause is why the lane ended.
func (l *lane) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return l.linkError(io.EOF) // it has been seen, but not yet here
}
