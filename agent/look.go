package agent

import (
	"context"
	"fmt"
	"net"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// lookTimeout bounds a look, by all ways that are tried.
const lookTimeout = 30 * time.Second

// A Sight is what a look at a relay shows.
type Sight struct {
	Account string    // the label of the token; empty if the relay lets everybody in
	Expires time.Time // when the token ends; zero if it does not
	Warning string    // what the user should know of the way there; empty if nothing
}

// Look asks cfg.Relay whom it takes the agent for, as Run would connect to it. It
// opens no session, and needs no Target. The error is a *cmdline.Error.
func Look(ctx context.Context, cfg Config) (Sight, error) {
	cfg.Others = nil
	if err := cfg.check(); err != nil {
		return Sight{}, err
	}
	l := newLoops(&Agent{cfg: cfg})[0]
	welcome, warning, err := l.query(ctx, tunnel.Look)
	if err != nil {
		return Sight{}, l.unasked(err)
	}
	return Sight{oneLine(welcome.Account), welcome.Expires, warning}, nil
}

// query asks the relay for what opens no session, and returns a warning as a Sight
// has it.
func (l *loop) query(ctx context.Context, ask func(context.Context, net.Conn, tunnel.Hello) (*tunnel.Welcome, error)) (welcome *tunnel.Welcome, warning string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	hello, err := l.hello(ctx)
	if err != nil {
		return nil, "", err
	}
	p, err := l.dialer.reach(ctx, func(conn net.Conn) (err error) {
		welcome, err = ask(ctx, conn, hello)
		return err
	})
	return welcome, p.warning(), err
}

// unasked is an error of query as a *cmdline.Error.
func (l *loop) unasked(err error) error {
	if e := l.verdict(err, false); e != nil {
		return e
	}
	return &cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("relay %s cannot be asked: %s", l.cfg.Relay, reason(err)),
		Hint: "check its address and the network, and try again", Err: err}
}
