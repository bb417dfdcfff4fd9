package target

import (
	"context"
	"errors"

	"share/tunnel"
)

var errStopping = errors.New("the agent is stopping")

// dial connects to the target and notes how that went. The failure's detail
// says when the target was last seen up.
func (t *Target) dial(ctx context.Context) (*conn, *tunnel.Failure) {
	c, f := t.dialer.dial(ctx)
	switch {
	case f == nil:
		t.health.alive()
		return c, nil
	case f.Cause == tunnel.TargetClosed:
		t.health.alive() // it accepted the connection
		return nil, f
	}
	t.health.dead(f)
	if note := t.Health().Note(); note != "" && f.Cause != tunnel.VisitorGone {
		noted := *f // health keeps f
		noted.Detail += " (" + note + ")"
		f = &noted
	}
	return nil, f
}

// reach is dial, with Config.Hold for a target that refuses.
func (t *Target) reach(ctx context.Context) (*conn, *tunnel.Failure) {
	c, f := t.dial(ctx)
	if f == nil || f.Cause != tunnel.TargetRefused || t.cfg.Hold == 0 {
		return c, f
	}
	limited, cancel := context.WithTimeout(ctx, t.cfg.Hold)
	defer cancel()
	release := t.health.hold()
	defer release()
	for {
		select {
		case <-t.health.returned():
		case <-limited.Done():
			if ctx.Err() != nil {
				f = tunnel.Fail(tunnel.VisitorGone, context.Cause(ctx))
			}
			return nil, f
		case <-t.closed:
			return nil, t.fail(tunnel.Draining, errStopping)
		}
		if c := t.takeSpare(); c != nil {
			return c, nil
		}
		if c, f = t.dial(ctx); f == nil || f.Cause != tunnel.TargetRefused {
			return c, f
		}
	}
}

// maxTries bounds how often a request is sent that may be.
const maxTries = 3

// takeSpare returns the connection that Run has left, nil if there is none or
// it is of no use any more.
func (t *Target) takeSpare() *conn {
	if t.spare.Load() == nil {
		return nil
	}
	c := t.spare.Swap(nil)
	if c == nil {
		return nil
	}
	if t.h2 != nil && !c.sock.over() || t.h2 == nil && c.alive() {
		return c
	}
	c.sock.reset()
	return nil
}

// keepSpare leaves c for the next exchange, unless ctx, which is Run's, has ended.
func (t *Target) keepSpare(ctx context.Context, c *conn) {
	if old := t.spare.Swap(c); old != nil {
		old.Close()
	}
	if ctx.Err() != nil {
		t.closeSpare()
	}
}

func (t *Target) closeSpare() {
	if c := t.spare.Swap(nil); c != nil {
		c.Close()
	}
}
