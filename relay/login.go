package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"share/relay/account"
	"share/tunnel"
)

// A Login is how people get a token: an issuer of OpenID Connect says who they are,
// to the agent, which asks it for a device code (RFC 8628).
type Login struct {
	// Issuer is its URL, as its tokens have it.
	Issuer string

	// ClientID is what the issuer calls this relay's agents. Secret goes with
	// it where the issuer wants one of clients that can keep none: all who ask
	// the relay are told both.
	ClientID string
	Secret   string

	// Scopes are what agents ask for. If empty, openid, email and profile.
	Scopes []string

	// Allow says who may. It must not be empty.
	Allow account.Allow

	// Lasts is how long a token is good for. If zero, 30 days.
	Lasts time.Duration
}

const (
	// maxClient bounds what an issuer calls a client, and the client's secret.
	maxClient = 255

	// maxScopes bounds the scopes, and maxScope one of them.
	maxScopes = 20
	maxScope  = 100
)

// Check returns why nobody could log in, or whoever comes.
func (l *Login) Check() error {
	switch {
	case !account.ValidIssuer(l.Issuer):
		return fmt.Errorf("the issuer is a URL such as https://login.example.com, without query, and not %.100q", l.Issuer)
	case !printable(l.ClientID, 1, maxClient):
		return fmt.Errorf("the client-id, by which the issuer knows the relay's agents, has 1 to %d printable characters of ASCII", maxClient)
	case !printable(l.Secret, 0, maxClient):
		return fmt.Errorf("the client-secret has at most %d printable characters of ASCII", maxClient)
	case len(l.Scopes) > maxScopes, slices.ContainsFunc(l.Scopes, func(s string) bool { return !printable(s, 1, maxScope) }):
		return fmt.Errorf("a login asks for at most %d scopes, each of at most %d printable characters of ASCII", maxScopes, maxScope)
	case !slices.Contains(l.scopes(), "openid"):
		return errors.New("the scope openid has to be among the scopes: there is no ID token without")
	}
	return l.Allow.Check()
}

// printable reports whether s has from least to most printable characters of ASCII,
// without spaces.
func printable(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func (l *Login) scopes() []string {
	if len(l.Scopes) == 0 {
		return []string{"openid", "email", "profile"}
	}
	return l.Scopes
}

// logIn tells an agent how a person logs in or, if it shows what the issuer says of
// one, makes a token.
func (r *Relay) logIn(ctx context.Context, conn net.Conn, hello *tunnel.Hello, secret bool) (*tunnel.Welcome, error) {
	l := r.cfg.Login
	switch {
	case hello.Token != "" && l == nil:
		return nil, rejectToken("nobody can log in here")
	case l == nil:
		return &tunnel.Welcome{}, nil
	}
	if err := r.overheard(conn, hello, secret); err != nil {
		return nil, err
	}
	if hello.Token == "" {
		return &tunnel.Welcome{Login: &tunnel.Login{Issuer: l.Issuer, ClientID: l.ClientID, Secret: l.Secret, Scopes: l.scopes()}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	shown, err := r.identities.VerifyPerson(ctx, hello.Token, l.Issuer, l.ClientID)
	if err != nil {
		return nil, r.unverified(err)
	}
	person := account.Person{Issuer: shown.Issuer, Subject: shown.Subject, Claims: shown.Claims, Digest: shown.Digest, Until: shown.Until}
	if !l.Allow.Permits(&person) {
		r.log.Warn("person not let in", "issuer", person.Issuer, "subject", person.Subject)
		return nil, rejectToken("%s knows who you are, but the relay's owner has not said that you may log in", l.Issuer)
	}
	made, token, err := r.cfg.Accounts.LogIn(ctx, person, cmp.Or(l.Lasts, defaultLasts))
	if _, often := errors.AsType[*account.ConflictError](err); often || errors.Is(err, account.ErrShown) {
		return nil, rejectToken("%v", err)
	}
	if err != nil {
		return nil, r.notLookedUp(err)
	}
	r.log.Info("person logged in", "account", token.Account, "token", token.ID, "subject", person.Subject, "client", conn.RemoteAddr().String())
	return &tunnel.Welcome{Account: token.Account, Token: made, Expires: token.Expires}, nil
}

// defaultLasts is how long the token of a login lasts.
const defaultLasts = 30 * 24 * time.Hour
