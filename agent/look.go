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
	Account string // the label of the token; empty if the relay lets everybody in
	Warning string // what the user should know of the way there; empty if nothing
}

// Look asks cfg.Relay whom it takes the agent for, as Run would connect to it. It
// opens no session, and needs no Target. The error is a *cmdline.Error.
func Look(ctx context.Context, cfg Config) (Sight, error) {
	cfg.Others = nil
	if err := cfg.check(); err != nil {
		return Sight{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	l := newLoops(&Agent{cfg: cfg})[0]
	var welcome *tunnel.Welcome
	hello, err := l.hello(ctx)
	var p passage
	if err == nil {
		p, err = l.dialer.reach(ctx, func(conn net.Conn) (err error) {
			welcome, err = tunnel.Look(ctx, conn, hello)
			return err
		})
	}
	if err == nil {
		return Sight{oneLine(welcome.Account), p.warning()}, nil
	}
	if e := l.verdict(err, false); e != nil {
		return Sight{}, e
	}
	return Sight{}, &cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("relay %s cannot be asked: %s", cfg.Relay, reason(err)),
		Hint: "check its address and the network, and try again", Err: err}
}
