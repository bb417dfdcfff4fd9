package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"share/relay/account"
	"share/relay/handover"
	"share/tunnel"
)

const (
	// agentPatience is how long visitors wait at a new process for the agents
	// of the one before.
	agentPatience = 5 * time.Second

	// lendTime is how long a backup may take to end before the store is handed
	// over: with agentPatience, less than the other process waits.
	lendTime = 10 * time.Second

	// recallPause is between two tries to take a store back that another
	// process still has, recallTime how long those last once Serve is to end.
	recallPause = time.Second
	recallTime  = 5 * time.Second
)

var (
	// errReplaced is why Serve ends when another process has taken its place.
	errReplaced = errors.New("another process has taken the relay's place")

	errReplacing = errors.New("another process is about to take the relay's place already")
	errNoData    = errors.New("the relay has no data folder to hand over")
	errFirst     = errors.New("the relay is the first process of its container, and all others end with it: replace the container")
)

// replaceBy returns what takes the wish of another process to take the relay's
// place: it accepts that one's connection and goes on by itself, or says why it
// does not. Serve ends by stop then.
func (r *Relay) replaceBy(ctx context.Context, stop context.CancelCauseFunc) func(accept func() (*handover.Conn, error)) error {
	return func(accept func() (*handover.Conn, error)) error {
		switch {
		case r.cfg.Store == nil:
			return errNoData
		case r.first:
			return &account.ConflictError{Reason: errFirst.Error()}
		case ctx.Err() != nil:
			return handover.ErrEnding
		}
		if !r.replacing.CompareAndSwap(false, true) {
			return &account.ConflictError{Reason: errReplacing.Error()}
		}
		conn, err := accept()
		if err != nil {
			r.replacing.Store(false)
			return err
		}
		r.wg.Go(func() {
			if !r.giveWay(ctx, stop, conn) {
				r.replacing.Store(false)
			}
		})
		return nil
	}
}

// giveWay hands the relay over to the process behind conn, which it owns, and
// then ends Serve by stop. If that comes to nothing, all is as it was; it reports
// which it is.
func (r *Relay) giveWay(ctx context.Context, stop context.CancelCauseFunc, conn *handover.Conn) bool {
	pid, err := r.handOver(ctx, conn)
	if err != nil {
		if _, its := errors.AsType[*handover.FailedError](err); !its {
			conn.Fail(err)
		}
		conn.Close() // the other process must let go of the store
		r.recall(ctx)
		r.log.Error("the relay was not replaced, and goes on", "pid", pid, "reason", err.Error())
		return false
	}
	conn.Close()
	r.replaced.Store(true)
	r.log.Info("replaced", "pid", pid)
	if r.cfg.Replaced != nil {
		r.cfg.Replaced(pid)
	}
	stop(errReplaced)
	// What still waits for the store learns that it is gone.
	if err := r.cfg.Store.Close(); err != nil {
		r.log.Error("the store cannot be closed", "error", err.Error())
	}
	return true
}

// handOver is the old process's part of package handover. An error leaves the
// store lent if it was.
func (r *Relay) handOver(ctx context.Context, conn *handover.Conn) (pid int, err error) {
	want, err := conn.Receive(ctx, handover.Want)
	if err != nil {
		return 0, err
	}
	if want.Version != handover.Version {
		return want.PID, fmt.Errorf("the new process speaks version %d of the protocol, this one %d: stop the relay and start the new one", want.Version, handover.Version)
	}
	pid = want.PID
	r.log.Info("about to be replaced", "pid", pid)
	sockets, conns, err := r.cfg.Sockets.offer()
	if err != nil {
		return pid, err
	}
	if err := conn.Send(ctx, handover.Message{Step: handover.Offer, PID: os.Getpid(), Sockets: sockets}, conns...); err != nil {
		return pid, err
	}
	if _, err := conn.Receive(ctx, handover.Listening); err != nil {
		return pid, err
	}
	// The agents of the process before this one come here first: their visitors
	// wait for them here.
	if err := r.names.Settled(ctx); err != nil {
		return pid, err
	}
	r.save(ctx)
	if err := r.lend(ctx); err != nil {
		return pid, err
	}
	if err := conn.Send(ctx, handover.Message{Step: handover.Lent}); err != nil {
		return pid, err
	}
	if _, err := conn.Receive(ctx, handover.Ready); err != nil {
		return pid, err
	}
	r.setYielding(true)
	held := r.names.Freeze()
	for len(held) > 0 && err == nil {
		n := min(len(held), handover.NamesAtOnce)
		err = conn.Send(ctx, handover.Message{Step: handover.Held, Names: held[:n]})
		held = held[n:]
	}
	if err == nil {
		err = conn.Send(ctx, handover.Message{Step: handover.Go})
	}
	if err != nil {
		r.setYielding(false)
		r.names.Thaw()
	}
	return pid, err
}

// lend closes the store, unless somebody reads all of it for longer than lendTime.
func (r *Relay) lend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lendTime)
	defer cancel()
	return r.cfg.Store.Lend(ctx)
}

// setYielding says whether agents are sent to the process that takes the relay's
// place.
func (r *Relay) setYielding(yielding bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.yielding = yielding
}

// isYielding reports whether agents are sent there.
func (r *Relay) isYielding() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.yielding
}

// errYielding sends an agent to the process that takes the relay's place: it is
// to connect again at once.
func errYielding() *tunnel.RejectError {
	return &tunnel.RejectError{Code: tunnel.RejectDraining, Message: errReplaced.Error()}
}

// recall takes the store back, if it was lent. If Serve is to end it does not
// insist.
func (r *Relay) recall(ctx context.Context) {
	var end <-chan time.Time
	over := ctx.Done()
	for told := false; !r.cfg.Store.Here(); {
		err := r.cfg.Store.Recall()
		if err == nil {
			break
		}
		if !told {
			told = true
			r.log.Error("the store cannot be taken back yet", "error", err.Error())
		}
		select {
		case <-time.After(recallPause):
		case <-over:
			end, over = time.After(recallTime), nil
		case <-end:
			// Whoever waits for the store would wait for ever.
			_ = r.cfg.Store.Close()
			return
		}
	}
}

// settleVisitors is Edge.Drain for a process that was replaced, whose visitors can
// come again at once: it turns no request away, also of connections that have just
// been accepted.
func (r *Relay) settleVisitors(ctx context.Context) error {
	r.edge.Yield()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if r.strangers.len() == 0 && r.visiting.Load() == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
