package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/tunnel/cmdline"
)

// limits are what ends a run beside a signal, as the flags say.
type limits struct {
	ttl        time.Duration
	requests   int
	targetDown time.Duration
	disconnect bool
}

func (l *limits) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Value("ttl", "stop after `TIME`, counted from the start", cmdline.Duration(&l.ttl, 0)),
		cmdline.Value("max-requests", "stop when `N` requests have been answered; no more are taken, so those that come while the last are under way get 503", cmdline.Number(&l.requests, 1, math.MaxInt32)),
		cmdline.Value("exit-on-target-down", "give up when the target has been down for `TIME` without a break, before it was up too", cmdline.Duration(&l.targetDown, 0)),
		cmdline.Toggle("exit-on-disconnect", "give up when a relay is lost at which the tunnel was ready (default: connect again)", &l.disconnect),
	}
}

// An ending is what a run came to as its user wanted it, a limit or share stop, as
// the cause of a context that it ended.
type ending string

const (
	endTTL      ending = "ttl"
	endRequests ending = "max-requests"
	endStop     ending = "share stop"
)

func (e ending) Error() string { return string(e) }

// stopped gives the exit code and the name of what ended a run's context, or the
// error that it is; ready says whether the tunnel ever was.
func stopped(cause error, ready bool) (code int, reason string, err error) {
	if e, ok := errors.AsType[ending](cause); ok {
		return 0, string(e), nil
	}
	sig, ok := errors.AsType[cmdline.Interrupt](cause)
	if !ok {
		return 0, "", cause
	}
	if !ready {
		code = 128 + int(sig.Signal) // as of a process that the signal ended
	}
	return code, sig.String(), nil
}

// A limiter ends a run that comes to one of its limits.
type limiter struct {
	limits
	end      context.CancelCauseFunc // the run
	expiry   *time.Timer             // nil without a ttl
	taken    atomic.Int64            // requests
	answered atomic.Int64            // of them

	mu      sync.Mutex
	ready   map[string]bool // the relays at which the tunnel was; guarded by mu
	trouble string          // why there was no session, guarded by mu
	wasUp   bool            // the target, guarded by mu
	since   time.Time       // when it went down, zero unless it is; guarded by mu
	why     string          // it is, guarded by mu
	fall    *time.Timer     // nil until it was down, guarded by mu
}

// limit returns the limiter for an agent of cfg, which it has told of it.
func (l limits) limit(cfg *agent.Config) *limiter {
	m := &limiter{limits: l, ready: make(map[string]bool)}
	if l.requests > 0 {
		cfg.Admit = m.admit
	}
	cfg.Target.Watch = l.targetDown > 0
	return m
}

// start returns a context that ends with ctx, or at a limit: then its cause is an
// ending or a *cmdline.Error. The agent runs between start and stop.
func (m *limiter) start(ctx context.Context) context.Context {
	ctx, m.end = context.WithCancelCause(ctx)
	if m.ttl > 0 {
		m.expiry = time.AfterFunc(m.ttl, m.expire)
	}
	return ctx
}

func (m *limiter) stop() {
	m.end(nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, timer := range []*time.Timer{m.expiry, m.fall} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// admit takes one more request, unless as many as there may be were taken. It may
// be called from any goroutine.
func (m *limiter) admit() bool { return m.taken.Add(1) <= int64(m.requests) }

// observe ends the run if e brings it to a limit. It may be called from any
// goroutine.
func (m *limiter) observe(e agent.Event) {
	switch e.Kind {
	case agent.EventRequest:
		if m.requests > 0 && m.answered.Add(1) == int64(m.requests) {
			m.end(endRequests)
		}
	case agent.EventReady:
		m.mu.Lock()
		m.ready[e.Relay] = true
		m.mu.Unlock()
	case agent.EventReconnecting:
		m.lost(e)
	case agent.EventTarget:
		m.target(e)
	}
}

// expire is the end of the ttl. A tunnel that never was ready is no success.
func (m *limiter) expire() {
	m.mu.Lock()
	ready, trouble := len(m.ready) > 0, m.trouble
	m.mu.Unlock()
	if ready {
		m.end(endTTL)
		return
	}
	message := fmt.Sprintf("no tunnel in the %v that --ttl gave it", m.ttl)
	if trouble != "" {
		message += ": " + trouble
	}
	m.end(&cmdline.Error{Code: cmdline.ExitUnreached, Message: message, Hint: "start the relay, or check --relay and the network"})
}

// lost takes a session's end. One that the relay has drained is followed by
// another, or by the event that says why it is not.
func (m *limiter) lost(e agent.Event) {
	m.mu.Lock()
	m.trouble = e.Reason
	lost := m.disconnect && !e.Drained && m.ready[e.Relay]
	m.mu.Unlock()
	if !lost {
		return
	}
	message := "the relay was lost: " + e.Reason
	if e.Relay != "" {
		message = fmt.Sprintf("the relay %s was lost: %s", e.Relay, e.Reason)
	}
	m.end(&cmdline.Error{Code: cmdline.ExitUnreached, Message: message, Hint: "run it again, or leave --exit-on-disconnect away to have it connect again"})
}

// target takes a change of the target's health.
func (m *limiter) target(e agent.Event) {
	if m.targetDown == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fall != nil && (e.Up || !e.Since.Equal(m.since)) {
		m.fall.Stop()
		m.fall = nil
	}
	m.why, m.since = e.Detail, e.Since
	if e.Up {
		m.wasUp, m.since = true, time.Time{}
	} else if m.fall == nil {
		m.fall = time.AfterFunc(m.targetDown-time.Since(e.Since), func() { m.fallen(e.Since) })
	}
}

// fallen gives the target up, if it is still down since then.
func (m *limiter) fallen(since time.Time) {
	m.mu.Lock()
	still, wasUp, why := m.since.Equal(since), m.wasUp, m.why
	m.mu.Unlock()
	if !still {
		return
	}
	message := fmt.Sprintf("the target did not come up in %v", m.targetDown)
	if wasUp {
		message = fmt.Sprintf("the target has been down for %v", m.targetDown)
	}
	if why != "" {
		message += ": " + why
	}
	m.end(&cmdline.Error{Code: cmdline.ExitTargetDown, Message: message, Hint: "start it, or share another port; share doctor TARGET looks at it"})
}
