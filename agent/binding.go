package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"share/agent/target"
	"share/tunnel"
	"share/tunnel/cmdline"
)

const (
	// bindTimeout bounds the wait for the answer to a Bind: the relay may
	// ping the name's present holder for 3 s first.
	bindTimeout = 10 * time.Second

	// drainMargin is what a relay's drain may take beyond its own deadline.
	drainMargin = 5 * time.Second
)

var (
	errUnanswered = fmt.Errorf("the relay did not answer within %v", bindTimeout)
	errDrained    = errors.New("the relay is stopping")
	errBadBound   = errors.New("the relay's answer to a bind makes no sense")
)

// A binding is a session with the relay and the tunnel that is bound on it.
type binding struct {
	*loop
	session *tunnel.Session
	via     string                       // how the relay was reached, if not in the usual way
	bound   atomic.Pointer[tunnel.Bound] // nil until the relay has answered

	once sync.Once
	over chan struct{} // closed when another session is due
	err  error         // why; written before over is closed
}

// leave says that another session is due: this one has ended, or is draining.
func (b *binding) leave(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.over)
	})
}

// left reports whether another session takes this one's place.
func (b *binding) left() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}

// hold serves the session until it ends. When work ends it drains, when life
// ends it is cut.
func (b *binding) hold(work, life context.Context) {
	ctx, cancel := context.WithCancel(life)
	var wg sync.WaitGroup
	wg.Go(func() { b.drain(work, life) })
	wg.Go(func() { b.converse(work, life, ctx) })
	err := b.session.Serve(life, b.handle)
	b.current.CompareAndSwap(b, nil)
	cancel()
	// The relay's last message may say why it ended the session.
	wg.Wait()
	b.leave(err)
}

// drain lets the session's exchanges end once work has. One that the relay drains
// is left to it, within the grace: the relay ends it as soon as its visitors, who
// cannot be served over another any more, have gone where the next one is.
func (b *binding) drain(work, life context.Context) {
	select {
	case <-b.session.Done():
		return
	case <-work.Done():
	}
	grace := b.cfg.grace()
	ctx, cancel := context.WithTimeout(life, grace)
	defer cancel()
	if b.left() {
		select {
		case <-b.session.Done():
			return
		case <-ctx.Done():
		}
	}
	// Its error says that exchanges were cut, which each of them tells.
	_ = b.session.Drain(ctx, tunnel.Drain{DeadlineMS: grace.Milliseconds()})
}

// converse takes the relay's messages until ctx, the session's, ends.
func (b *binding) converse(work, life, ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	// A session that drains is not joined any more, and its URL is no news.
	growth, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(work, cancel)()
	// Both timers end with the session, at which they do nothing more.
	overdue := time.AfterFunc(bindTimeout, func() { b.session.Fail(errUnanswered) })
	defer overdue.Stop()
	var deadline *time.Timer
	defer func() {
		if deadline != nil {
			deadline.Stop()
		}
	}()
	for {
		m, err := b.session.Receive(ctx)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *tunnel.Bound:
			if m.ID != bindID || b.bound.Load() != nil || !validBound(m) {
				b.session.Fail(errBadBound)
				return
			}
			overdue.Stop()
			b.take(life, m)
			wg.Go(func() { b.ready(growth, m) })
			wg.Go(func() { b.lanes(growth) })
		case *tunnel.BindError:
			b.session.Fail(m)
			return
		case *tunnel.Unbind:
			if b.left() {
				continue // our own next session has the name
			}
			e := refusal(m.Code, m.Message, 0, nil)
			if e == nil {
				b.session.Fail(errDrained)
				return
			}
			b.stop(e)
		case *tunnel.Drain:
			// Exchanges go on here while the next session is made, at the
			// same address: the agent dials only what its user named.
			if deadline == nil {
				deadline = time.AfterFunc(m.Deadline()+drainMargin, b.session.Close)
			}
			b.leave(errDrained)
			cancel()
		case *tunnel.Notice:
			b.warn("relay: " + oneLine(m.Message))
		}
	}
}

func validBound(m *tunnel.Bound) bool {
	u, err := url.Parse(m.URL)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && tunnel.ValidName(m.Name)
}

// take notes that the tunnel serves.
func (b *binding) take(life context.Context, m *tunnel.Bound) {
	b.bound.Store(m)
	b.setBound()
	if err := b.name.bound(life, m.Name); err != nil {
		b.warn(fmt.Sprintf("the name is not locked against another agent on this machine: %v", err))
	}
	b.current.Store(b)
	b.report(b.target.Health())
}

// ready shows the URL once a request has come back through it, or could not.
func (b *binding) ready(ctx context.Context, m *tunnel.Bound) {
	err := b.prober.verify(ctx, m.URL)
	if ctx.Err() != nil {
		return // the next session will say
	}
	e := Event{Kind: EventReady, URL: m.URL, Name: m.Name, Via: b.via, Verified: err == nil}
	if err != nil {
		if b.cfg.RequireVerified && !b.verified.Load() {
			b.stop(&cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("the tunnel's URL does not work: %v", err),
				Hint: "check the relay's DNS, certificate and visitors' port", Err: err})
			return
		}
		e.Reason = err.Error()
		b.warn(fmt.Sprintf("not verified: %v", err))
	} else {
		b.verified.Store(true)
	}
	b.emit(e)
}

// lanes keeps as many connections in the session as are configured, and one
// more whenever large bodies fill them all, until ctx ends.
func (b *binding) lanes(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	crowded := b.session.Crowded()
	if b.cfg.Dial != nil {
		crowded = nil // nobody waits behind others inside a process
	}
	for n := 1; n < min(maxLanes, b.session.Welcome.Lanes); n++ {
		for crowd := n < b.cfg.lanes(); !crowd; {
			select {
			case <-crowded:
				crowd = b.session.Lanes() >= n // or one is on its way
			case <-ctx.Done():
				return
			}
		}
		wg.Go(func() { b.lane(ctx, n >= b.cfg.lanes()) })
	}
}

// lane keeps one more connection in the session until ctx ends.
func (b *binding) lane(ctx context.Context, onDemand bool) {
	retry := backoff{near: b.cfg.near()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry.next(time.Now(), 0)):
		}
		hello, err := b.hello(ctx)
		if err != nil {
			continue
		}
		hello.OnDemand = onDemand
		conn, err := b.dialer.dial(ctx)
		if err != nil {
			continue
		}
		began := time.Now()
		err = b.session.Join(ctx, conn, hello)
		if _, refused := errors.AsType[*tunnel.RejectError](err); refused {
			return // the session goes on with the lanes it has
		}
		retry.bound(time.Since(began))
	}
}

// report tells the relay how the target does.
func (b *binding) report(h target.Health) {
	m := b.bound.Load()
	if m == nil || h.Since.IsZero() {
		return
	}
	state := &tunnel.TargetHealth{Tunnel: m.Tunnel, Up: h.Up, Since: h.Since}
	if h.Failure != nil {
		state.Cause = h.Failure.Cause
	}
	// An error is the session's end; the next one is told anew.
	_ = b.session.Send(state)
}
