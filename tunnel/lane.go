package tunnel

import (
	"context"
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
	// streamWindow bounds what a stream's reader may leave unread.
	streamWindow = 1 << 20

	// acceptBacklog bounds the streams that wait to be accepted; the
	// multiplexer's opener blocks at the same number.
	acceptBacklog = 256

	// maxLive bounds the exchanges of one lane.
	maxLive = 4096

	// reuseLimit is how many bytes a stream may carry and still be reused:
	// its receive buffer never shrinks.
	reuseLimit = 256 << 10

	// finishTimeout and finishBytes bound how long a stream that was given
	// up is read empty until the peer ends it.
	finishTimeout = 30 * time.Second
	finishBytes   = 64 << 20

	// idleStream is how long an unused stream is kept.
	idleStream = 30 * time.Second
)

// The heartbeat: a silent peer is asked after pingAfter and given up after
// deadAfter. Any byte received is life.
const (
	pingAfter = 10 * time.Second
	deadAfter = 25 * time.Second
)

// ErrClosed is why a session ended that this side closed.
var ErrClosed = errors.New("session closed")

// errSilent is why a lane ended whose peer was not heard of for deadAfter.
var errSilent = fmt.Errorf("nothing heard for %v", deadAfter)

// A lane is one connection of a session: a multiplexer, its control stream and
// the streams that exchanges run on.
type lane struct {
	session *Session
	link    *link
	mux     *yamux.Session
	control *control

	live atomic.Int32 // exchanges under way
	bulk atomic.Int32 // of them, those that have become large

	mu        sync.Mutex
	idle      []*Exchange          // guarded by mu; last in, first out
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
func muxConfig() *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          acceptBacklog,
		KeepAliveInterval:      time.Hour, // must not be zero; keep-alive is off
		ConnectionWriteTimeout: time.Hour,
		MaxStreamWindowSize:    streamWindow,
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
	start := yamux.Server
	if s.agent {
		start = yamux.Client
	}
	mux, err := start(l.link, muxConfig())
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
		l.heart = time.AfterFunc(pingAfter, l.beat)
	}
	l.mu.Unlock()
	if l.session.agent {
		l.spawn(l.accept)
	} else {
		l.spawn(l.refuse)
	}
	err := l.control.receive()
	l.close(err)
	l.wg.Wait()
	return l.cause()
}

// spawn runs fn in a goroutine that run waits for; not once the lane has ended.
func (l *lane) spawn(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.wg.Go(fn)
	}
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
	l.control = newControl(l, stream)
	return nil
}

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

// accept takes the streams that the relay opens, each served by a goroutine
// that the lane's end stops.
func (l *lane) accept() {
	for {
		stream, err := l.mux.AcceptStream()
		if err != nil {
			l.close(l.linkError(err))
			return
		}
		x := newExchange(l, stream)
		if !l.add(x) {
			return
		}
		l.spawn(func() {
			x.serve()
			x.in.release()
			x.out.release()
			l.remove(x)
			l.finish(stream)
		})
	}
}

// refuse ends the lane of an agent that opens a second stream.
func (l *lane) refuse() {
	if _, err := l.mux.AcceptStream(); err != nil {
		l.close(l.linkError(err))
		return
	}
	l.close(errors.New("agent opened a stream"))
}

// open returns an idle exchange, or one on a new stream. It ends with ctx.
func (l *lane) open(ctx context.Context) (*Exchange, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		x := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		x.begin()
		return x, nil
	}
	ended := l.ended
	l.mu.Unlock()
	if ended {
		return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: l.cause().Error()}
	}
	// Opening blocks while acceptBacklog streams are not yet accepted.
	opened := make(chan *Exchange)
	l.spawn(func() {
		stream, err := l.mux.OpenStream()
		var x *Exchange
		if err == nil {
			x = newExchange(l, stream)
			if !l.add(x) {
				x = nil
			}
		}
		select {
		case opened <- x:
		case <-ctx.Done():
			if x != nil {
				l.park(x)
			}
		case <-l.mux.CloseChan():
		}
	})
	select {
	case <-l.mux.CloseChan():
		return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: l.cause().Error()}
	case x := <-opened:
		if x == nil {
			return nil, &Failure{Cause: LinkLost, NotProcessed: true, Detail: "the link closed"}
		}
		x.begin()
		return x, nil
	case <-ctx.Done():
		return nil, Fail(VisitorGone, context.Cause(ctx))
	}
}

// park puts a clean exchange back for reuse.
func (l *lane) park(x *Exchange) {
	x.parked = time.Now()
	l.mu.Lock()
	if !l.ended {
		l.idle = append(l.idle, x)
	}
	l.mu.Unlock()
}

// add registers x for RESET and for the lane's end; false if that has come.
func (l *lane) add(x *Exchange) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	id := x.stream.StreamID()
	l.exchanges[id] = x
	l.newest = max(l.newest, id)
	if r, ok := l.early[id]; ok {
		x.early = r
		delete(l.early, id)
	}
	return true
}

func (l *lane) remove(x *Exchange) {
	l.mu.Lock()
	delete(l.exchanges, x.stream.StreamID())
	l.mu.Unlock()
}

// discard closes x's stream for good. Closing may wait for the link, which no
// visitor shall.
func (l *lane) discard(x *Exchange) {
	l.remove(x)
	l.spawn(func() { l.finish(x.stream) })
}

// finish closes a stream and reads it empty until the peer has closed it too:
// what came meanwhile would stay in memory. A peer that does not close it loses
// the lane.
func (l *lane) finish(stream *yamux.Stream) {
	// An error is the lane's end.
	_ = stream.SetReadDeadline(time.Now().Add(finishTimeout))
	_ = stream.Close()
	buf := smallBuffers.Get().(*[]byte)
	defer smallBuffers.Put(buf)
	for left := finishBytes; left > 0; {
		n, err := stream.Read(*buf)
		left -= n
		if err != nil && !errors.Is(err, yamux.ErrTimeout) {
			return
		}
		if err != nil {
			break
		}
	}
	l.close(errors.New("peer does not end a stream that was given up"))
}

// reset ends the exchange that the peer gave up. It may overtake the stream,
// which waits to be accepted.
func (l *lane) reset(r reset) {
	l.mu.Lock()
	x := l.exchanges[r.stream]
	if x == nil && r.stream > l.newest && len(l.early) < acceptBacklog {
		if l.early == nil {
			l.early = make(map[uint32]reset)
		}
		l.early[r.stream] = r
	}
	l.mu.Unlock()
	if x != nil {
		x.resetBy(r)
	}
}

// beat is the heartbeat's timer.
func (l *lane) beat() {
	now := time.Now()
	silence := now.Sub(time.Unix(0, l.link.heard.Load()))
	var stuck time.Duration
	if since := l.link.partial.Load(); since != 0 {
		stuck = now.Sub(time.Unix(0, since))
	}
	if max(silence, stuck) >= deadAfter {
		l.close(errSilent)
		return
	}
	next := pingAfter - silence
	if silence >= pingAfter {
		next = deadAfter - silence
	}
	l.mu.Lock()
	if !l.ended {
		l.heart.Reset(next)
	}
	l.mu.Unlock()
	l.prune(now)
	if silence >= pingAfter {
		l.control.ping(nil)
	}
}

// prune closes the streams that have been idle for long.
func (l *lane) prune(now time.Time) {
	l.mu.Lock()
	n := 0
	for n < len(l.idle) && now.Sub(l.idle[n].parked) > idleStream {
		n++
	}
	old := append([]*Exchange(nil), l.idle[:n]...)
	l.idle = append(l.idle[:0], l.idle[n:]...)
	l.mu.Unlock()
	for _, x := range old {
		l.discard(x)
	}
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
