package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"share/agent"
	"share/agent/device"
	"share/agent/terminal"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// maxClientShown bounds what is shown of what the issuer calls the relay's agents.
const maxClientShown = 100

// logIn has the issuer that the relay has offered say who the user is, and shows that
// to this relay alone, which gives a token for it.
func (p *Process) logIn(ctx context.Context, cfg agent.Config, offer *tunnel.Login) (agent.Grant, error) {
	issuer := &device.Issuer{URL: offer.Issuer, ClientID: offer.ClientID, Secret: offer.Secret, Scopes: offer.Scopes,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			ForceAttemptHTTP2: true,
			Proxy: func(r *http.Request) (*url.URL, error) {
				if p.Proxy == nil {
					return nil, nil
				}
				return p.Proxy(r.URL)
			},
		}}
	host := issuer.Host()
	if host == "" {
		return agent.Grant{}, cmdline.Failed("ask the relay's owner", fmt.Errorf("relay %s has people log in at %.200q, which is no https URL", cfg.Relay, offer.Issuer))
	}
	fmt.Fprintf(p.Stderr, "%s has %s say who you are, to its client %s\n", cfg.Relay, host, terminal.Escape(cut(offer.ClientID, maxClientShown)))
	code, err := issuer.Begin(ctx)
	if err != nil {
		return agent.Grant{}, unissued(cfg.Relay, host, err)
	}
	fmt.Fprint(p.Stderr, invitation(cfg.Relay, code))
	token, err := code.Wait(ctx)
	if err != nil {
		return agent.Grant{}, unissued(cfg.Relay, host, err)
	}
	return agent.LogIn(ctx, cfg, token)
}

// invitation tells the user where to go.
func invitation(relay agent.RelayURL, code *device.Code) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nOpen %s\nand type %s\n", code.URL, terminal.Escape(code.Text))
	if code.Whole != "" {
		fmt.Fprintf(&b, "or open %s\nand see that it shows the same code\n", code.Whole)
	}
	fmt.Fprintf(&b, "\nwithin %d min, and only if you mean to log in to %s\n", max(1, code.Expires/time.Minute), relay)
	return b.String()
}

// unissued is an error of package device as a *cmdline.Error, which says who failed.
func unissued(relay agent.RelayURL, host string, err error) error {
	e := cmdline.Failed("tell the relay's owner, or log in with a token: share login --paste "+relay.String(), fmt.Errorf("the issuer %s: %w", host, err))
	switch _, unreached := errors.AsType[*device.UnreachableError](err); {
	case errors.Is(err, device.ErrDenied):
		e.Code, e.Hint = cmdline.ExitToken, "allow it there, as somebody who may log in to "+relay.String()
	case errors.Is(err, device.ErrExpired):
		e.Hint = "log in again: share login " + relay.String()
	case unreached:
		e.Code, e.Message = cmdline.ExitUnreached, fmt.Sprintf("the issuer %s cannot be reached: %v", host, err)
		e.Hint = "check the network, and try again: share login " + relay.String()
	}
	return e
}

// cut is what fits into n bytes of s.
func cut(s string, n int) string { return s[:min(len(s), n)] }
