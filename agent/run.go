package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// Run holds the tunnel open until ctx ends, at each relay: it connects, binds the
// name, serves, and begins again when the session is lost, for ever. When ctx
// ends, exchanges in flight have the grace to end; new ones are refused
// unprocessed. Run returns nil if ctx or Cut ended it, or a *cmdline.Error if trying
// again cannot help, at any relay, after all that it started has ended. It tells
// the error to no view.
func (a *Agent) Run(ctx context.Context) error {
	defer a.target.Close()
	if a.cfg.Dial == nil {
		for _, l := range a.loops {
			if err := checkSelf(ctx, a.cfg.Target.Address, l.cfg.Relay); err != nil {
				return err
			}
		}
	}
	if err := a.claim(ctx); err != nil {
		return err
	}
	for _, notice := range a.cfg.Notices {
		a.warn(notice)
	}
	// work ends what takes on more, life all the rest, at once.
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
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
	wg.Go(func() { a.watch(work, stop) })
	wg.Go(func() {
		<-work.Done()
		if n := a.open.Load(); n > 0 && life.Err() == nil {
			a.emit(Event{Kind: EventDraining, Open: int(n)})
		}
	})
	a.runAll(work, life, stop)
	stop(nil)
	kill()
	wg.Wait()
	for _, l := range a.loops {
		l.name.release()
	}
	if e, ok := errors.AsType[*cmdline.Error](context.Cause(work)); ok {
		return e
	}
	return nil
}

// claim makes the names at all relays this process's own.
func (a *Agent) claim(ctx context.Context) (err error) {
	for i, l := range a.loops {
		if l.name, err = l.claim(ctx); err != nil {
			for _, l := range a.loops[:i] {
				l.name.release()
			}
			return err
		}
	}
	return nil
}

// runAll runs all loops, each until work ends or its relay refuses for good. It
// returns when their sessions have ended, too. The last relay's refusal ends the
// work.
func (a *Agent) runAll(work, life context.Context, stop context.CancelCauseFunc) {
	var left atomic.Int64
	left.Store(int64(len(a.loops)))
	var wg sync.WaitGroup
	for _, l := range a.loops {
		wg.Go(func() {
			own, cancel := context.WithCancelCause(work)
			defer cancel(nil)
			l.stop = cancel
			l.run(own, life)
			e, refused := errors.AsType[*cmdline.Error](context.Cause(own))
			switch last := left.Add(-1) == 0; {
			case refused && last:
				stop(e)
			case refused && work.Err() == nil:
				l.warn(fmt.Sprintf("this relay is given up: %s: %s", oneLine(e.Message), e.Hint))
			}
			l.sessions.Wait()
		})
	}
	wg.Wait()
}

// A loop holds one session with a relay after the other.
type loop struct {
	*Agent
	cfg      Config // the Agent's, with Relay being the loop's
	label    string // names the relay in events; empty if there is only one
	dialer   *dialer
	name     *name
	stop     context.CancelCauseFunc // ends the work at this relay, with a *cmdline.Error
	sessions sync.WaitGroup          // those that still run, superseded ones too

	current  atomic.Pointer[binding] // the one that is told of the target's health
	verified atomic.Bool             // a request has come back through the public URL

	mu     sync.Mutex
	ever   bool      // a name was bound, guarded by mu
	reason string    // of the last failure, guarded by mu
	tries  int       // to connect since there was a session, guarded by mu
	next   time.Time // of them, guarded by mu
}

// newLoops returns the loops for all relays.
func newLoops(a *Agent) (loops []*loop) {
	relays := a.cfg.relays()
	for _, relay := range relays {
		l := &loop{Agent: a, cfg: a.cfg}
		l.cfg.Relay = relay
		if token := a.cfg.Logins[relay]; token != "" {
			l.cfg.Token, l.cfg.Identity = token, nil
		}
		l.dialer = newDialer(&l.cfg)
		if len(relays) > 1 {
			l.label = relay.String()
		}
		loops = append(loops, l)
	}
	return loops
}

// emit tells the view, and which relay it is about if there are several.
func (l *loop) emit(e Event) {
	if l.label != "" {
		e.Relay = l.label
	}
	l.Agent.emit(e)
}

func (l *loop) warn(message string) { l.emit(Event{Kind: EventWarning, Message: message}) }

// hello is what the agent says to the relay on each connection. Its errors are
// those of an Identity.
func (l *loop) hello(ctx context.Context) (tunnel.Hello, error) {
	h := tunnel.Hello{
		Version:  l.cfg.version(),
		OS:       runtime.GOOS,
		Token:    l.cfg.Token,
		Insecure: l.cfg.Insecure,
	}
	var err error
	if l.cfg.Identity != nil {
		h.Token, err = l.cfg.Identity.obtain(ctx, l.cfg.Proxy, l.cfg.Relay.String())
	}
	return h, err
}

// run returns when work ends; sessions may still be draining then.
func (l *loop) run(work, life context.Context) {
	retry := backoff{near: l.cfg.near()}
	l.emit(Event{Kind: EventConnecting, Relay: l.cfg.Relay.String(), Identity: l.cfg.identity()})
	met, drained := false, false
	var least time.Duration
	shown := ""
	for {
		wait := retry.next(time.Now(), least)
		l.setNext(retry.tries, time.Now().Add(wait))
		if l.failed() != "" && (l.failed() != shown || wait >= time.Second) {
			shown = l.failed()
			l.emit(Event{Kind: EventReconnecting, Reason: shown, Drained: drained, Retry: wait, Attempt: retry.tries})
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
		least, drained = pause(err), sentOn(err)
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

// watch ends the agent when the relays, or the target, take too long to come up
// for the first time.
func (a *Agent) watch(work context.Context, stop context.CancelCauseFunc) {
	if a.cfg.Wait <= 0 {
		return
	}
	select {
	case <-work.Done():
		return
	case <-time.After(a.cfg.Wait):
	}
	if !slices.ContainsFunc(a.loops, (*loop).everBound) {
		var tried []string
		for _, l := range a.loops {
			tried = append(tried, l.cfg.Relay.String())
		}
		message := fmt.Sprintf("no tunnel at %s after %v", strings.Join(tried, " or "), a.cfg.Wait)
		if why := a.loops[0].failed(); why != "" {
			message += ": " + why
		}
		stop(&cmdline.Error{Code: cmdline.ExitUnreached, Message: message, Hint: "start the relay, or check --relay and the network"})
		return
	}
	select {
	case <-a.up:
	default:
		message := fmt.Sprintf("the target did not come up in %v", a.cfg.Wait)
		if f := a.target.Health().Failure; f != nil {
			message += ": " + oneLine(f.Error())
		}
		stop(&cmdline.Error{Code: cmdline.ExitTargetDown, Message: message, Hint: "start it, or share another port; share doctor TARGET looks at it"})
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
