package command

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"share/agent"
	"share/tunnel/cmdline"
)

// A step is something that a limiter sees after a while.
type step struct {
	after time.Duration
	event agent.Event // its zero value is nothing
}

func TestLimits(t *testing.T) {
	ready := func(relay string) agent.Event { return agent.Event{Kind: agent.EventReady, Relay: relay} }
	lost := func(relay, reason string, drained bool) agent.Event {
		return agent.Event{Kind: agent.EventReconnecting, Relay: relay, Reason: reason, Drained: drained}
	}
	request := agent.Event{Kind: agent.EventRequest}
	up := agent.Event{Kind: agent.EventTarget, Up: true}
	down := agent.Event{Kind: agent.EventTarget, Detail: "refused"}
	const relayGone = "nothing listens"
	tests := []struct {
		name   string
		limits limits
		steps  []step
		want   string // what ended the run after the last step, "" if nothing
		code   int
	}{
		{"none", limits{}, []step{{0, ready("")}, {0, request}, {0, down}, {time.Hour, lost("", relayGone, false)}, {time.Hour, down}}, "", 0},

		{"ttl", limits{ttl: time.Minute}, []step{{0, ready("")}, {time.Minute - 1, request}, {1, agent.Event{}}}, "ttl", 0},
		{"before the ttl", limits{ttl: time.Minute}, []step{{0, ready("")}, {time.Minute - 1, request}}, "", 0},
		{"ttl of one that is connecting again", limits{ttl: time.Minute}, []step{{0, ready("")}, {0, lost("", relayGone, false)}, {time.Minute, agent.Event{}}}, "ttl", 0},
		{"ttl of one that never was ready", limits{ttl: time.Minute}, []step{{0, lost("", relayGone, false)}, {time.Minute, agent.Event{}}},
			"no tunnel in the 1m0s that --ttl gave it: nothing listens", cmdline.ExitUnreached},

		{"requests", limits{requests: 2}, []step{{0, request}, {time.Hour, request}}, "max-requests", 0},
		{"fewer requests", limits{requests: 2}, []step{{0, ready("")}, {0, request}, {time.Hour, ready("")}}, "", 0},

		{"target never up", limits{targetDown: 10 * time.Second}, []step{{0, down}, {10 * time.Second, agent.Event{}}},
			"the target did not come up in 10s: refused", cmdline.ExitTargetDown},
		{"target down after up", limits{targetDown: 10 * time.Second}, []step{{0, up}, {time.Hour, down}, {10 * time.Second, agent.Event{}}},
			"the target has been down for 10s: refused", cmdline.ExitTargetDown},
		{"target down not so long", limits{targetDown: 10 * time.Second}, []step{{0, up}, {time.Hour, down}, {10*time.Second - 1, agent.Event{}}}, "", 0},
		{"target down with a break", limits{targetDown: 10 * time.Second}, []step{{0, down}, {9 * time.Second, up}, {0, down}, {9 * time.Second, agent.Event{}}}, "", 0},
		{"target down after a break", limits{targetDown: 10 * time.Second}, []step{{0, down}, {9 * time.Second, up}, {0, down}, {10 * time.Second, agent.Event{}}},
			"the target has been down for 10s: refused", cmdline.ExitTargetDown},
		{"target up again", limits{targetDown: 10 * time.Second}, []step{{0, down}, {9 * time.Second, up}, {time.Hour, agent.Event{}}}, "", 0},

		{"relay lost", limits{disconnect: true}, []step{{0, ready("")}, {0, lost("", relayGone, false)}}, "the relay was lost: nothing listens", cmdline.ExitUnreached},
		{"one of two relays lost", limits{disconnect: true}, []step{{0, ready("a")}, {0, ready("b")}, {0, lost("b", relayGone, false)}},
			"the relay b was lost: nothing listens", cmdline.ExitUnreached},
		{"relay not reached yet", limits{disconnect: true}, []step{{0, ready("a")}, {0, lost("b", relayGone, false)}}, "", 0},
		{"relay drains", limits{disconnect: true}, []step{{0, ready("")}, {0, lost("", "stopping", true)}, {0, ready("")}}, "", 0},
		{"relay drains and is gone", limits{disconnect: true}, []step{{0, ready("")}, {0, lost("", "stopping", true)}, {0, lost("", relayGone, false)}},
			"the relay was lost: nothing listens", cmdline.ExitUnreached},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cfg agent.Config
				m := tt.limits.limit(&cfg)
				if got, want := cfg.Target.Watch, tt.limits.targetDown > 0; got != want {
					t.Errorf("the target is watched: %v, want %v", got, want)
				}
				ctx := m.start(t.Context())
				var since time.Time // the target is down
				for _, s := range tt.steps {
					time.Sleep(s.after)
					if s.event.Kind == agent.EventTarget && (since.IsZero() || s.event.Up) {
						since = time.Now()
					}
					s.event.Since = since
					if m.observe(s.event); s.event.Up {
						since = time.Time{}
					}
				}
				synctest.Wait()
				cause := context.Cause(ctx)
				m.stop()
				if cause == nil {
					if tt.want != "" {
						t.Errorf("the run goes on, want its end by %q", tt.want)
					}
					return
				}
				code, reason, err := stopped(cause, true)
				if e, ok := errors.AsType[*cmdline.Error](err); ok {
					if code, reason = e.Code, e.Message; e.Hint == "" {
						t.Errorf("%q has no hint", reason)
					}
				}
				if reason != tt.want || code != tt.code {
					t.Errorf("got code %d, %q, want %d, %q", code, reason, tt.code, tt.want)
				}
			})
		})
	}
}

// No more requests are taken than may be, whoever comes at the same time, and the
// run ends when the last of them has.
func TestLimitsAdmit(t *testing.T) {
	const most, come = 3, 100
	var cfg agent.Config
	m := (limits{requests: most}).limit(&cfg)
	ctx := m.start(t.Context())
	defer m.stop()
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range come {
		wg.Go(func() {
			if cfg.Admit() {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	if got := admitted.Load(); got != most {
		t.Errorf("%d of %d were admitted, want %d", got, come, most)
	}
	for range most {
		if ctx.Err() != nil {
			t.Error("the run ended before the last request")
		}
		m.observe(agent.Event{Kind: agent.EventRequest})
	}
	if got := context.Cause(ctx); got != endRequests {
		t.Errorf("got %v, want %v", got, endRequests)
	}
	cfg = agent.Config{}
	if (limits{}).limit(&cfg); cfg.Admit != nil {
		t.Error("requests are counted without a limit")
	}
}

// What came first is why the run ended.
func TestStopped(t *testing.T) {
	interrupt := cmdline.Interrupt{Signal: syscall.SIGTERM}
	broken := errors.New("broken")
	tests := []struct {
		cause  error
		ready  bool
		code   int
		reason string
		err    error
	}{
		{interrupt, true, 0, interrupt.String(), nil},
		{interrupt, false, 128 + int(syscall.SIGTERM), interrupt.String(), nil},
		{endTTL, true, 0, "ttl", nil},
		{endRequests, false, 0, "max-requests", nil},
		{broken, true, 0, "", broken},
	}
	for _, tt := range tests {
		ctx, signal := context.WithCancelCause(t.Context())
		m := limits{}.limit(&agent.Config{})
		limited := m.start(ctx)
		signal(tt.cause)
		m.end(endTTL)
		code, reason, err := stopped(context.Cause(limited), tt.ready)
		if code != tt.code || reason != tt.reason || err != tt.err {
			t.Errorf("%v, ready %v: got %d, %q, %v, want %d, %q, %v", tt.cause, tt.ready, code, reason, err, tt.code, tt.reason, tt.err)
		}
		m.stop()
	}
}
