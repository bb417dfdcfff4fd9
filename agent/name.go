package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// bindID numbers the one Bind of a session.
const bindID = 1

// A name is what this agent asks a relay for, and its right to ask.
type name struct {
	claims   *claims
	holder   string
	wanted   string // --name, or empty
	domain   string // --domain, or empty
	seed     string // if both are empty
	takeover bool
	locks    []string // what was locked, or seized, before the first Bind
	pending  sync.WaitGroup

	mu   sync.Mutex
	busy []string // of locks, what another process still holds; guarded by mu
}

// claim makes the name this process's own, or returns a *cmdline.Error that says whose
// it is.
func (l *loop) claim(ctx context.Context) (*name, error) {
	st, err := openState(ctx, l.cfg.StateDir)
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return nil, e
	}
	if err != nil {
		l.warn(fmt.Sprintf("the state folder %s cannot be used, so the default name changes with each start: %v", l.cfg.StateDir, err))
		st = l.fresh
	}
	n := &name{holder: st.holder(), wanted: l.cfg.Name, domain: l.cfg.Domain, takeover: l.cfg.Takeover}
	dir := st.dir
	if l.cfg.Dial != nil || l.cfg.Random {
		dir = "" // nobody else can mean this name
	}
	n.claims = newClaims(dir, l.cfg.Relay.String())
	switch {
	case l.cfg.Random:
		n.seed = l.fresh.seed("", "")
	case n.domain != "":
		n.locks = append(n.locks, "domain:"+n.domain)
	case n.wanted == "":
		n.seed = st.seed(l.cfg.Folder, seedTarget(l.cfg.Target.Address))
		n.locks = append(n.locks, "seed:"+n.seed)
		if last := n.claims.bound("seed:" + n.seed); last != "" {
			n.locks = append(n.locks, last)
		}
	default:
		n.locks = append(n.locks, n.wanted)
	}
	for _, lock := range n.locks {
		err := n.claims.take(lock)
		held, ok := errors.AsType[*errHeld](err)
		switch {
		case ok && !n.takeover:
			n.claims.release()
			return nil, n.heldBy(held.pid)
		case ok:
			err = n.claims.seize(lock)
			n.busy = append(n.busy, lock)
		}
		if err != nil {
			l.warn(fmt.Sprintf("the name is not locked against another agent on this machine: %v", err))
		}
	}
	return n, nil
}

func (n *name) heldBy(pid int) *cmdline.Error {
	what := "this tunnel"
	switch {
	case n.domain != "":
		what = "the domain " + n.domain
	case n.wanted != "":
		what = "the name " + n.wanted
	}
	who := "another process"
	if pid != 0 {
		who = fmt.Sprintf("process %d", pid)
	}
	return &cmdline.Error{Code: cmdline.ExitRefused, Message: fmt.Sprintf("%s is already run by %s on this machine", what, who),
		Hint: "stop that one, choose another --name, or add --takeover"}
}

// bind is the message that asks for the name. Only the first one takes it from
// another agent: who is evicted afterwards never fights.
func (n *name) bind(again bool) *tunnel.Bind {
	return &tunnel.Bind{
		ID:       bindID,
		Kind:     "http",
		Name:     n.wanted,
		Seed:     n.seed,
		Holder:   n.holder,
		Takeover: n.takeover && !again,
		Domain:   n.domain,
	}
}

// kept returns a *cmdline.Error if another process of this machine has taken the name
// over.
func (n *name) kept() error {
	for _, lock := range n.locks {
		if pid := n.claims.lost(lock); pid != 0 {
			return &cmdline.Error{Code: cmdline.ExitRefused, Message: fmt.Sprintf("process %d took the tunnel over", pid),
				Hint: "stop that one first"}
		}
	}
	return nil
}

// bound notes the name that the relay gave, and takes the locks that are still
// missing as soon as their owners leave, until ctx ends. It returns at once; an
// error says that the name is not locked.
func (n *name) bound(ctx context.Context, bound string) error {
	n.mu.Lock()
	missing := n.busy
	n.busy = nil
	n.mu.Unlock()
	var errs []error
	if n.seed != "" {
		errs = append(errs, n.claims.remember("seed:"+n.seed, bound))
		err := n.claims.take(bound)
		if _, held := errors.AsType[*errHeld](err); held {
			missing = append(missing, bound)
			err = nil
		}
		errs = append(errs, err)
	}
	for _, lock := range missing {
		n.pending.Go(func() { n.claims.await(ctx, lock) })
	}
	return errors.Join(errs...)
}

// release gives the locks back, after the context of each call of bound has
// ended.
func (n *name) release() {
	n.pending.Wait()
	n.claims.release()
}
