package tunnel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLanes bounds the lanes of a session.
	maxLanes = 8

	// inboxSize is how many messages wait for Receive; then the peer waits.
	inboxSize = 8

	// flushTimeout bounds how long a closing session waits for its link.
	flushTimeout = time.Second
)

// A Session is the connection of one agent to one relay: one lane or more,
// over which exchanges run and messages pass. It ends when its last lane does.
type Session struct {
	// Welcome is what the relay said at the start. It is not changed.
	Welcome *Welcome

	// Budget bounds what the windows of several sessions take together. If
	// nil, the session is bound by itself alone, to 128 MiB. It is set before
	// Serve.
	Budget *Budget

	// Quota bounds the exchanges that Open begins. If nil, they are not. It is
	// set before Serve.
	Quota *Quota

	agent    bool
	handler  func(*Exchange) // set by Serve, before its lanes run
	notify   func()          // if not nil, called for each message in inbox
	inbox    chan Message
	crowded  chan struct{} // see Crowded; holds one
	live     atomic.Int64
	spare    Budget       // what windows have taken
	rtt      atomic.Int64 // the least time that a PONG took, in nanoseconds; 0 before the first
	trips    atomic.Int64 // how many were measured
	stalls   atomic.Uint64
	draining atomic.Bool
	quiet    chan struct{} // closed when draining and nothing is live
	calm     sync.Once
	done     chan struct{} // closed when the last lane has ended

	mu      sync.Mutex
	lanes   []*lane // guarded by mu
	err     error   // guarded by mu; why the session ended
	closing bool    // guarded by mu; no lane is added any more
	ended   bool    // guarded by mu
}

func newSession(agent bool, w *Welcome) *Session {
	return &Session{
		Welcome: w,
		agent:   agent,
		inbox:   make(chan Message, inboxSize),
		crowded: make(chan struct{}, 1),
		quiet:   make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// Serve runs the session until it ends or ctx does, which cuts it, and returns
// why it ended: ErrClosed after Close and after a drain, nil never. At the
// agent's end each exchange is passed to handler, in a goroutine of its own;
// the relay's end passes nil. All handlers have returned when Serve does.
func (s *Session) Serve(ctx context.Context, handler func(*Exchange)) error {
	stop := context.AfterFunc(ctx, s.Close)
	defer stop()
	s.mu.Lock()
	s.handler = handler
	first := slices.Clone(s.lanes)
	s.mu.Unlock()
	for _, l := range first {
		_ = s.runKnown(l) // the last lane's error is the session's
	}
	<-s.done
	return s.Err()
}

// run adds a lane to the session and serves it until it ends.
func (s *Session) run(l *lane) error {
	s.mu.Lock()
	if s.closing || s.ended || len(s.lanes) >= maxLanes {
		s.mu.Unlock()
		l.close(ErrClosed)
		return ErrClosed
	}
	s.lanes = append(s.lanes, l)
	s.mu.Unlock()
	return s.runKnown(l)
}

func (s *Session) runKnown(l *lane) error {
	err := l.run()
	s.mu.Lock()
	s.lanes = slices.DeleteFunc(s.lanes, func(o *lane) bool { return o == l })
	if len(s.lanes) == 0 && !s.ended {
		s.ended = true
		s.err = err
		close(s.done)
	}
	s.mu.Unlock()
	return err
}

// Live is the number of exchanges under way.
func (s *Session) Live() int { return int(s.live.Load()) }

// Send passes a message to the peer. It does not wait for it to arrive.
func (s *Session) Send(m Message) error {
	s.mu.Lock()
	if len(s.lanes) == 0 {
		s.mu.Unlock()
		return ErrClosed
	}
	l := s.lanes[0]
	s.mu.Unlock()
	return l.control.message(m)
}

// Notify makes fn be called for each message of the peer, once Receive has it
// at hand, so that nobody need wait there: a session is idle most of the time.
// fn must not block. Notify goes before Serve, behind whose end there are no
// calls.
func (s *Session) Notify(fn func()) { s.notify = fn }

// Receive returns the peer's next message. It ends with ctx and the session.
func (s *Session) Receive(ctx context.Context) (Message, error) {
	select {
	case m := <-s.inbox:
		return m, nil
	default:
	}
	select {
	case m := <-s.inbox:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
	}
	select {
	case m := <-s.inbox: // the last word
		return m, nil
	default:
		return nil, s.Err()
	}
}

// deliver passes a lane's message to Receive; a full inbox makes the peer wait.
func (s *Session) deliver(l *lane, m Message) error {
	select {
	case s.inbox <- m: // also if the lane has ended
	default:
		select {
		case s.inbox <- m:
		case <-l.mux.CloseChan():
			return l.cause()
		case <-time.After(deadAfter):
			return errors.New("messages are not taken")
		}
	}
	if s.notify != nil {
		s.notify()
	}
	return nil
}

// Ping returns when the peer has shown that it lives.
func (s *Session) Ping(ctx context.Context) error {
	s.mu.Lock()
	if len(s.lanes) == 0 {
		s.mu.Unlock()
		return ErrClosed
	}
	l := s.lanes[0]
	s.mu.Unlock()
	return l.control.roundTrip(ctx)
}

// Drain tells the peer and finishes the session.
func (s *Session) Drain(ctx context.Context, d Drain) error {
	s.draining.Store(true)
	// An error is the session's end, which needs no telling.
	_ = s.Send(&d)
	return s.Finish(ctx)
}

// Finish refuses new exchanges as not processed, waits until the open ones
// have ended or ctx has, and closes the session. It returns ctx's error if
// exchanges were cut, for which the cause is Draining.
//
// The relay, which opens exchanges, knows when the last has ended: the agent
// waits for it to close the session, so that no request is under way to an
// agent that has left.
func (s *Session) Finish(ctx context.Context) error {
	s.draining.Store(true)
	quiet := s.quiet
	if s.agent {
		quiet = nil
	} else if s.live.Load() == 0 {
		s.calm.Do(func() { close(s.quiet) })
	}
	var err error
	select {
	case <-quiet:
	case <-s.done:
	case <-ctx.Done():
		err = ctx.Err()
		s.abandon(&Failure{Cause: Draining, Detail: "the grace is over"})
	}
	s.Close()
	return err
}

// abandon ends the open exchanges and tells the peer why.
func (s *Session) abandon(f *Failure) {
	s.mu.Lock()
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	for _, l := range lanes {
		l.abandon(f)
	}
}

// Lanes is the number of connections of the session.
func (s *Session) Lanes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lanes)
}

// Stalls is how often a connection of the session took longer than a second for
// what it was given to send.
func (s *Session) Stalls() uint64 { return s.stalls.Load() }

// Refuse makes the session answer new exchanges with Draining, as not
// processed, while the open ones go on.
func (s *Session) Refuse() { s.draining.Store(true) }

// Draining reports whether the session opens nothing new.
func (s *Session) Draining() bool { return s.draining.Load() }

// Close ends the session: what was written is sent, for a second at most, and
// streams in flight are cut. To let them finish, call Drain.
func (s *Session) Close() { s.end(ErrClosed) }

// Fail ends the session as Close does, with err as the cause.
func (s *Session) Fail(err error) { s.end(err) }

func (s *Session) end(cause error) {
	s.mu.Lock()
	s.closing = true
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range lanes {
		wg.Go(func() {
			l.flush(flushTimeout)
			l.close(cause)
		})
	}
	wg.Wait()
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is why the session ended, nil while it lasts.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Addr is the peer's address.
func (s *Session) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lanes) == 0 {
		return ""
	}
	return s.lanes[0].link.RemoteAddr().String()
}
