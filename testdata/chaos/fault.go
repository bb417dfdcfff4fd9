//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of fault.
const (
	TargetKilled Kind = "target killed"
	TargetFrozen Kind = "target frozen"
	TargetReset  Kind = "target reset"
	AgentKilled  Kind = "agent killed"
	AgentFrozen  Kind = "agent frozen"
	RelayKilled  Kind = "relay killed"
	RelayFrozen  Kind = "relay frozen"
	LinkReset    Kind = "link reset"
	LinkCut      Kind = "link cut"
	LinkFrozen   Kind = "link frozen"
)

// Kinds lists the kinds of fault.
func Kinds() []Kind {
	return []Kind{
		TargetKilled, TargetFrozen, TargetReset, AgentKilled, AgentFrozen,
		RelayKilled, RelayFrozen, LinkReset, LinkCut, LinkFrozen,
	}
}

// recoverTime bounds how long visitors may be without an answer after the
// cause of their trouble is gone.
const recoverTime = 15 * time.Second

// storm strikes the world again and again.
type storm struct {
	world  *World
	rand   *rand.Rand
	freeze time.Duration // longest freeze
	// answered is the start of the latest exchange that succeeded, in
	// nanoseconds since 1970.
	answered *atomic.Int64
}

// strike deals one blow of a kind, waits until visitors have answers again,
// and returns when it fell and when they had.
func (s *storm) strike(ctx context.Context, kind Kind) (Fault, error) {
	f := Fault{Kind: kind, At: time.Now()}
	if err := s.blow(ctx, kind); err != nil {
		return f, fmt.Errorf("%s: %w", kind, err)
	}
	over := time.Now()
	for s.answered.Load() < over.UnixNano() {
		if time.Since(over) > recoverTime {
			f.Back = time.Now()
			return f, fmt.Errorf("%s: no answer %s after it was over\n%s", kind, recoverTime, s.world.Logs())
		}
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		pause(ctx, 5*time.Millisecond)
	}
	f.Back = time.Now()
	return f, nil
}

// blow deals the blow and mends what it broke.
func (s *storm) blow(ctx context.Context, kind Kind) error {
	w := s.world
	down := 20*time.Millisecond + time.Duration(s.rand.Int64N(int64(200*time.Millisecond)))
	frozen := s.freeze/8 + time.Duration(s.rand.Int64N(int64(s.freeze)))
	freeze := func(p process) error {
		p.Signal(syscall.SIGSTOP)
		pause(ctx, frozen)
		p.Signal(syscall.SIGCONT)
		return nil
	}
	switch kind {
	case TargetKilled:
		w.target.Kill()
		pause(ctx, down)
		return w.startTarget(ctx)
	case AgentKilled:
		w.agent.Kill()
		pause(ctx, down)
		return w.startAgent(ctx)
	case RelayKilled:
		w.relay.Kill()
		pause(ctx, down)
		return w.startRelay(ctx)
	case TargetFrozen:
		return freeze(w.target)
	case AgentFrozen:
		return freeze(w.agent)
	case RelayFrozen:
		return freeze(w.relay)
	case TargetReset:
		w.target.Signal(syscall.SIGHUP)
	case LinkReset:
		w.link.Reset()
	case LinkCut:
		w.link.Cut()
	case LinkFrozen:
		w.link.Freeze(ctx, frozen)
	}
	return nil
}
