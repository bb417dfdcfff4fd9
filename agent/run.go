package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// Run holds the tunnel open until ctx ends: it connects, binds the name,
// serves, and begins again when the session is lost, for ever. When ctx ends,
// exchanges in flight have the grace to end; new ones are refused unprocessed.
// Run returns nil if ctx or Cut ended it, or an *cmdline.Error if trying again cannot
// help, after all that it started has ended. It tells the error to no view.
func (a *Agent) Run(ctx context.Context) error {
	defer a.target.Close()
	if a.cfg.Dial == nil {
		if err := checkSelf(ctx, a.cfg.Target.Address, a.cfg.Relay); err != nil {
			return err
		}
	}
	name, err := a.claim(ctx)
	if err != nil {
		return err
	}
	if a.cfg.Notice != "" {
		a.warn(a.cfg.Notice)
	}
	// work ends what takes on more, life all the rest, at once.
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	l := &loop{Agent: a, name: name, stop: stop}
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-a.cut:
			stop(nil)
			kill()
		case <-life.Done():
		}
	})
	wg.Go(func() {
		// It watches for as long as there are exchanges, and returns nil.
		_ = a.target.Run(life)
	})
	wg.Go(func() { l.watch(work) })
	l.run(work, life)
	l.sessions.Wait()
	kill()
	wg.Wait()
	name.release()
	if e, ok := errors.AsType[*cmdline.Error](context.Cause(work)); ok {
		return e
	}
	return nil
}

// A loop holds one session after the other.
type loop struct {
	*Agent
	name     *name
	stop     context.CancelCauseFunc // ends the work, with an *cmdline.Error
	sessions sync.WaitGroup          // those that still run, superseded ones too

	mu     sync.Mutex
	ever   bool   // a name was bound, guarded by mu
	reason string // of the last failure, guarded by mu
}

// run returns when work ends; sessions may still be draining then.
func (l *loop) run(work, life context.Context) {
	retry := backoff{near: l.cfg.near()}
	l.emit(Event{Kind: EventConnecting, Relay: l.cfg.Relay.String(), Identity: l.cfg.identity()})
	met := false
	var least time.Duration
	shown := ""
	for {
		wait := retry.next(time.Now(), least)
		if l.failed() != "" && (l.failed() != shown || wait >= time.Second) {
			shown = l.failed()
			l.emit(Event{Kind: EventReconnecting, Reason: shown, Retry: wait})
		}
		select {
		case <-work.Done():
			return
		case <-time.After(wait):
		}
		err := l.name.kept()
		if err == nil {
			var b *binding
			if b, err = l.connect(work); err == nil {
				met = true
				began := time.Now()
				l.sessions.Go(func() { b.hold(work, life) })
				<-b.over
				err = b.err
				if b.bound.Load() != nil {
					shown = ""
					retry.bound(time.Since(began))
				}
			}
		}
		if work.Err() != nil {
			return
		}
		if e := l.verdict(err, met); e != nil {
			l.stop(e)
			return
		}
		least = pause(err)
		l.setFailed(reason(err))
	}
}

// connect opens a session whose first message asks for the name.
func (l *loop) connect(ctx context.Context) (*binding, error) {
	b := &binding{loop: l, over: make(chan struct{})}
	hello, err := l.hello(ctx)
	if err != nil {
		return nil, err
	}
	p, err := l.dialer.reach(ctx, func(conn net.Conn) (err error) {
		b.session, err = tunnel.Connect(ctx, conn, hello, l.name.bind(l.everBound()))
		return err
	})
	if w := p.warning(); w != "" {
		l.warn(w)
	}
	if err != nil {
		return nil, err
	}
	b.via = p.via()
	return b, nil
}

// watch ends the agent when the relay, or the target, takes too long to come
// up for the first time.
func (l *loop) watch(work context.Context) {
	if l.cfg.Wait <= 0 {
		return
	}
	select {
	case <-work.Done():
		return
	case <-time.After(l.cfg.Wait):
	}
	if !l.everBound() {
		message := fmt.Sprintf("no tunnel at %s after %v", l.cfg.Relay, l.cfg.Wait)
		if why := l.failed(); why != "" {
			message += ": " + why
		}
		l.stop(&cmdline.Error{Code: cmdline.ExitUnreached, Message: message, Hint: "start the relay, or check --relay and the network"})
		return
	}
	select {
	case <-l.up:
	default:
		message := fmt.Sprintf("the target did not come up in %v", l.cfg.Wait)
		if f := l.target.Health().Failure; f != nil {
			message += ": " + oneLine(f.Error())
		}
		l.stop(&cmdline.Error{Code: cmdline.ExitTargetDown, Message: message, Hint: "start it, or share another port"})
	}
}

func (l *loop) everBound() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ever
}

func (l *loop) setBound() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ever = true
}

func (l *loop) failed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

func (l *loop) setFailed(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = reason
}
