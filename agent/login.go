package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// A Grant is what a relay gives a person who has logged in.
type Grant struct {
	Account string
	Token   string
	Expires time.Time // zero if it does not
}

// LoginOffer asks cfg.Relay how a person logs in, and needs no Token. It returns nil
// if the relay takes tokens alone, or is older than logins, and a warning as a Sight
// has it. The error is a *cmdline.Error.
func LoginOffer(ctx context.Context, cfg Config) (offer *tunnel.Login, warning string, err error) {
	cfg.Others, cfg.Token, cfg.Identity, cfg.Logins = nil, "", nil, nil
	l := newLoops(&Agent{cfg: cfg})[0]
	welcome, warning, err := l.query(ctx, tunnel.LogIn)
	if r, ok := errors.AsType[*tunnel.RejectError](err); ok && r.Code == tunnel.RejectProtocol {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", l.unasked(err)
	}
	return welcome.Login, warning, nil
}

// LogIn shows cfg.Relay the ID token of the issuer that it has offered, and returns
// what it gives for that. The error is a *cmdline.Error.
func LogIn(ctx context.Context, cfg Config, idToken string) (Grant, error) {
	cfg.Others, cfg.Token, cfg.Identity, cfg.Logins = nil, idToken, nil, nil
	if len(idToken) > maxIDToken {
		return Grant{}, cmdline.Failed("ask the relay's owner to have the issuer put less into it, fewer groups for one",
			fmt.Errorf("the issuer's ID token has %d bytes, and a relay takes %d", len(idToken), maxIDToken))
	}
	l := newLoops(&Agent{cfg: cfg})[0]
	welcome, _, err := l.query(ctx, tunnel.LogIn)
	if err != nil {
		err = l.unasked(err)
		if e, ok := errors.AsType[*cmdline.Error](err); ok && e.Code == cmdline.ExitToken {
			e.Hint = "ask the relay's owner"
		}
		return Grant{}, err
	}
	if welcome.Token == "" || !ValidToken(welcome.Token) {
		return Grant{}, cmdline.Failed("ask the relay's owner", fmt.Errorf("relay %s gave a token of %d bytes, which is none", cfg.Relay, len(welcome.Token)))
	}
	return Grant{oneLine(welcome.Account), welcome.Token, welcome.Expires}, nil
}

// maxIDToken keeps an ID token within the preface (package tunnel).
const maxIDToken = 7 << 10
