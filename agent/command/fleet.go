package command

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"share/agent"
	"share/tunnel/cmdline"
)

// A fleet is the tunnels that run in this process. Its methods are for one
// goroutine, but for dial, cut, settle, look and urls.
type fleet struct {
	process Process
	control *controlled
	show    func(agent.Event)
	stop    context.CancelCauseFunc // ends all members
	settled func()                  // called when each member has its URL or is given up, and when that changes
	ended   chan *member            // those that no retry can help
	wg      sync.WaitGroup

	// mu guards what those read; but for what settle notes, only the one goroutine
	// writes it.
	mu      sync.Mutex
	members map[string]*member // by label
	order   []string           // of the labels in the file
	inside  Inside             // nil if no tunnel has wanted one
	applied bool               // members are those of a file
	arrived bool               // settled was called

	idle    chan struct{} // closed when no member runs any more
	served  chan struct{} // closed when inside has ended
	failure error         // of inside; read after served
}

// A member is a tunnel that runs, or that has been given up.
type member struct {
	plan  *plan
	stop  context.CancelFunc
	since time.Time
	done  chan struct{} // closed when it has ended
	err   error         // why, if by itself; read after done

	urls    []urlOf // one for each relay that has given it one; guarded by the fleet's mu
	settled bool    // it has its URL, or has been given up; guarded by the fleet's mu
}

// A urlOf is a tunnel's URL at a relay.
type urlOf struct{ relay, url string }

func newFleet(p Process, c *controlled, show func(agent.Event), settled func()) *fleet {
	return &fleet{process: p, control: c, show: show, settled: settled, ended: make(chan *member), members: map[string]*member{}, idle: make(chan struct{})}
}

// apply makes the tunnels those of plans: what is not among them, or not alike, is
// released, and then what is new is bound. The others are not touched. If anew is
// set, those that were given up are tried again.
func (f *fleet) apply(ctx context.Context, plans []*plan, anew bool) error {
	wanted := map[string]*plan{}
	var order []string
	for _, p := range plans {
		wanted[p.label] = p
		order = append(order, p.label)
	}
	f.mu.Lock()
	f.order = order
	f.mu.Unlock()
	var leaving []*member
	for label, m := range f.members {
		if p := wanted[label]; p == nil || !p.alike(m.plan) || anew && m.given() {
			leaving = append(leaving, m)
		}
	}
	for _, m := range leaving {
		m.stop()
	}
	for _, m := range leaving {
		<-m.done // within its grace
		f.mu.Lock()
		delete(f.members, m.plan.label)
		f.mu.Unlock()
		f.control.release(m.plan.label)
	}
	for _, p := range plans {
		if f.members[p.label] != nil || ctx.Err() != nil {
			continue
		}
		if p.inside {
			if err := f.open(ctx, ports(plans)); err != nil {
				return err
			}
		}
		f.start(ctx, p)
	}
	if ctx.Err() == nil {
		f.mu.Lock()
		f.applied = true
		f.mu.Unlock()
		f.settle(agent.Event{}) // those that were waited for may have been released
	}
	return nil
}

// settle notes that the tunnel of e has its URL, or has been given up.
func (f *fleet) settle(e agent.Event) {
	f.mu.Lock()
	if m := f.members[e.Tunnel]; m != nil {
		m.settled = true
		if e.Kind == agent.EventReady {
			m.urls = append(slices.DeleteFunc(m.urls, func(u urlOf) bool { return u.relay == e.Relay || u.url == e.URL }), urlOf{e.Relay, e.URL})
		}
	}
	all := f.applied
	for _, m := range f.members {
		all = all && m.settled
	}
	f.arrived = f.arrived || all
	told := f.arrived
	f.mu.Unlock()
	if told {
		f.settled()
	}
}

// start runs one more tunnel until ctx ends.
func (f *fleet) start(ctx context.Context, p *plan) {
	own, stop := context.WithCancel(ctx)
	m := &member{plan: p, stop: stop, since: time.Now(), done: make(chan struct{})}
	f.mu.Lock()
	f.members[p.label] = m
	f.mu.Unlock()
	f.control.bind(p.bound)
	f.wg.Go(func() {
		defer stop()
		m.err = p.agent.Run(own)
		close(m.done)
		if m.err != nil {
			select {
			case f.ended <- m:
			case <-own.Done():
			}
		}
	})
}

// given reports whether the tunnel has been given up.
func (m *member) given() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// lone reports whether all tunnels have been given up.
func (f *fleet) lone() bool {
	for _, m := range f.members {
		if !m.given() {
			return false
		}
	}
	return true
}

// open has the relay in this process serve, if it does not.
func (f *fleet) open(ctx context.Context, avoid []int) error {
	if f.inside != nil {
		return nil
	}
	inside, err := f.process.Inside(nil, avoid...)
	if err != nil {
		return err
	}
	for _, note := range inside.Notes() {
		f.show(agent.Event{Kind: agent.EventWarning, Message: note})
	}
	f.mu.Lock()
	f.inside = inside
	f.mu.Unlock()
	serving := make(chan struct{})
	f.served = make(chan struct{})
	go func() { // wait waits for it
		defer close(f.served)
		f.failure = inside.Serve(ctx, func(ctx context.Context) error {
			close(serving)
			<-ctx.Done()
			f.stop(nil) // the relay may have failed
			<-f.idle
			return nil
		})
	}()
	<-serving
	return nil
}

// dial connects an agent to the relay in this process.
func (f *fleet) dial(ctx context.Context) (net.Conn, error) {
	f.mu.Lock()
	inside := f.inside
	f.mu.Unlock()
	if inside == nil {
		return nil, errors.New("there is no relay in this process")
	}
	return inside.Dial(ctx)
}

// cut ends all without grace.
func (f *fleet) cut() {
	f.mu.Lock()
	inside := f.inside
	var members []*member
	for _, m := range f.members {
		members = append(members, m)
	}
	f.mu.Unlock()
	for _, m := range members {
		m.plan.agent.Cut()
	}
	if inside != nil {
		inside.Cut()
	}
}

// wait returns when all has ended, after stop, with what has failed.
func (f *fleet) wait() error {
	f.wg.Wait()
	close(f.idle)
	if f.served == nil {
		return nil
	}
	<-f.served
	return f.failure
}

// giveUp tells that a tunnel has ended, and that others go on.
func (f *fleet) giveUp(m *member) {
	e := agent.Event{Kind: agent.EventWarning, Tunnel: m.plan.label, Message: "this tunnel is given up: " + m.err.Error()}
	if c, ok := errors.AsType[*cmdline.Error](m.err); ok && c.Hint != "" {
		e.Message += ": " + c.Hint
	}
	f.control.giveUp(m.plan.label, m.err.Error())
	f.show(e)
	f.settle(e)
}
