package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"share/relay/account"
	"share/relay/identity"
	"share/tunnel"
)

// authorise checks an agent's token and returns it.
func (r *Relay) authorise(ctx context.Context, conn net.Conn, hello *tunnel.Hello, secret bool) (account.Token, error) {
	if r.cfg.open() {
		return account.Token{}, nil
	}
	if err := r.overheard(conn, hello, secret); err != nil {
		return account.Token{}, err
	}
	if hello.Token == "" {
		return account.Token{}, &tunnel.RejectError{Code: tunnel.RejectToken, Message: "no token was given"}
	}
	if label, ok := r.listed.Load().account(hello.Token); ok {
		return account.Token{Account: label}, nil
	}
	if r.cfg.Accounts == nil {
		return account.Token{}, &tunnel.RejectError{Code: tunnel.RejectToken, Message: "bad token"}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	if identity.Looks(hello.Token) {
		return r.identify(ctx, hello.Token)
	}
	token, err := r.cfg.Accounts.Authenticate(ctx, hello.Token)
	switch {
	case errors.Is(err, account.ErrToken), errors.Is(err, account.ErrMistyped), errors.Is(err, account.ErrExpired), errors.Is(err, account.ErrRole):
		err = &tunnel.RejectError{Code: tunnel.RejectToken, Message: err.Error()}
	case err != nil:
		err = r.notLookedUp(err)
	}
	return token, err
}

// overheard returns an error if others may read what goes over conn.
func (r *Relay) overheard(conn net.Conn, hello *tunnel.Hello, secret bool) error {
	if secret || fromLoopback(conn) || r.cfg.Insecure && hello.Insecure {
		return nil
	}
	return &tunnel.RejectError{Code: tunnel.RejectInsecure, Message: "a token must not travel in plain: " +
		"use TLS, tell the relay by --trusted-proxies of a front that ends it, or say --insecure at both ends"}
}

// notLookedUp asks an agent to come back, for want of what the store has: at once,
// if another process has it.
func (r *Relay) notLookedUp(err error) error {
	if r.isYielding() {
		return errYielding()
	}
	r.log.Error("a token cannot be looked up", "error", err.Error())
	return &tunnel.RejectError{Code: tunnel.RejectDraining, Message: "tokens cannot be looked up now", RetryAfter: lookupPause}
}

const (
	// lookupTime is how long an agent waits for the store, which may be lent to
	// another process: it hears of it before it gives up, after 5 s.
	lookupTime = 4 * time.Second

	// lookupPause is how long agents stay away while the store does not answer.
	lookupPause = 5 * time.Second
)

// fromLoopback reports whether conn came in over the loopback interface.
func fromLoopback(conn net.Conn) bool {
	ap, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// reject answers an agent that is not let in, and closes conn.
func (r *Relay) reject(conn net.Conn, err error) {
	defer conn.Close()
	r.refused(err)
	e, ok := errors.AsType[*tunnel.RejectError](err)
	level := slog.LevelWarn
	// What the relay could not do now counts as well: an issuer that is down, say,
	// is asked for whoever comes.
	if ok && e.Code == tunnel.RejectOverload || !r.strangers.failed(conn.RemoteAddr()) {
		level = slog.LevelDebug // a flood of them must not become one of lines
	}
	r.log.Log(context.Background(), level, "agent rejected", "client", conn.RemoteAddr().String(), "error", err.Error())
	if !ok || tunnel.Reject(conn, e) != nil {
		return
	}
	// What the agent has sent behind its preface, left unread, would make the
	// end a reset, which may overtake the refusal.
	if cw, ok := conn.(interface{ CloseWrite() error }); ok && cw.CloseWrite() == nil &&
		conn.SetReadDeadline(time.Now().Add(rejectLinger)) == nil {
		_, _ = io.CopyN(io.Discard, conn, rejectBytes)
	}
}

// rejectLinger and rejectBytes bound what is read of an agent that is not let
// in.
const (
	rejectLinger = time.Second
	rejectBytes  = 64 << 10
)
