// Package agent keeps a tunnel open: it holds a session with a relay, asks for
// a name, and has each exchange that comes answered by the target.
package agent

import (
	"sync"
	"sync/atomic"
	"time"

	"share/agent/target"
	"share/tunnel/cmdline"
)

// An Agent is one tunnel: a target and the name it is reached by, at one relay or
// several. Run starts it, once.
type Agent struct {
	cfg    Config
	target *target.Target
	loops  []*loop // one for each relay
	prober *prober
	fresh  *state       // for what is to be new in each process
	open   atomic.Int64 // exchanges that have not ended

	up     chan struct{} // closed when the target is first up
	upOnce sync.Once
	cut    chan struct{} // closed by Cut
	once   sync.Once
}

// New returns an agent, or a *cmdline.Error for a Config that cannot work. It opens
// no connection and touches no file.
func New(cfg Config) (*Agent, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a := &Agent{
		cfg:    cfg,
		prober: newProber(&cfg),
		fresh:  newState(),
		up:     make(chan struct{}),
		cut:    make(chan struct{}),
	}
	told := cfg.Target.OnHealth
	a.cfg.Target.OnHealth = func(h target.Health) {
		a.health(h)
		if told != nil {
			told(h)
		}
	}
	heard := cfg.Target.OnSymptom
	a.cfg.Target.OnSymptom = func(s target.Symptom) {
		a.symptom(s)
		if heard != nil {
			heard(s)
		}
	}
	t, err := target.New(a.cfg.Target)
	if err != nil {
		return nil, cmdline.Usage("", "%v", err)
	}
	a.target = t
	a.loops = newLoops(a)
	return a, nil
}

// Cut ends Run without grace: exchanges in flight are cut. It may be called at
// any time, by any goroutine, more than once.
func (a *Agent) Cut() { a.once.Do(func() { close(a.cut) }) }

// SendOwnHost has the target see its own Host from the next request on, in place
// of the one that visitors send. It may be called at any time, by any goroutine.
func (a *Agent) SendOwnHost() { a.target.SendOwnHost() }

// emit tells the view.
func (a *Agent) emit(e Event) {
	if a.cfg.OnEvent == nil {
		return
	}
	e.Time = time.Now()
	a.cfg.OnEvent(e)
}

func (a *Agent) warn(message string) { a.emit(Event{Kind: EventWarning, Message: message}) }

// symptom passes on what the target's answers say.
func (a *Agent) symptom(s target.Symptom) {
	a.emit(Event{Kind: EventWarning, Symptom: s.Code, Message: s.Message, Hint: s.Cure})
}

// health passes a change of the target's state on.
func (a *Agent) health(h target.Health) {
	e := Event{Kind: EventTarget, Up: h.Up, Since: h.Since}
	if h.Failure != nil {
		e.Cause, e.Detail = h.Failure.Cause, h.Failure.Detail
	}
	a.emit(e)
	if h.Up {
		a.upOnce.Do(func() { close(a.up) })
	}
	for _, l := range a.loops {
		if b := l.current.Load(); b != nil {
			b.report(h)
		}
	}
}
