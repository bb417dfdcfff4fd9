package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"share/relay/account"
	"share/relay/identity"
	"share/tunnel"
)

// maxSubject bounds what is shown of who an agent says it is.
const maxSubject = 255

// identify lets an agent in that shows an identity token: it returns the token
// of the trust that is for it.
func (r *Relay) identify(ctx context.Context, token string) (account.Token, error) {
	issuer, err := identity.Issuer(token)
	if err != nil {
		return account.Token{}, rejectToken("%v", err)
	}
	trusted, err := r.cfg.Accounts.TrustsIssuer(ctx, issuer)
	switch {
	case err != nil:
		return account.Token{}, r.notLookedUp(err)
	case !trusted:
		return account.Token{}, rejectToken("no identity of the issuer %s is trusted", quoteAtMost(issuer, maxSubject))
	}
	hosts := []string{r.domain}
	if public := strings.ToLower(r.public.Hostname()); public != r.domain {
		hosts = append(hosts, public)
	}
	id, err := r.identities.Verify(ctx, token, issuer, hosts...)
	if err != nil {
		return account.Token{}, r.unverified(err)
	}
	admitted, err := r.cfg.Accounts.Admit(ctx, account.Identity{Issuer: id.Issuer, Subject: id.Subject, Claims: id.Claims})
	switch {
	case err == nil:
		r.log.Info("identity trusted", "account", admitted.Account, "trust", admitted.ID, "issuer", id.Issuer, "subject", id.Subject)
	case errors.Is(err, account.ErrUntrusted), errors.Is(err, account.ErrOther), errors.Is(err, account.ErrLate):
		err = rejectToken("identity %s: %v", quoteAtMost(id.Subject, maxSubject), err)
	default:
		err = r.notLookedUp(err)
	}
	return admitted, err
}

// unverified refuses an agent whose identity token was not verified, for err.
func (r *Relay) unverified(err error) error {
	if down, ok := errors.AsType[*identity.UnreachableError](err); ok {
		r.log.Error("an identity cannot be verified", "error", err.Error())
		return &tunnel.RejectError{Code: tunnel.RejectDraining, RetryAfter: lookupPause,
			Message: "the issuer " + down.Issuer + " cannot be reached to verify the identity token"}
	}
	return rejectToken("%v", err)
}

func rejectToken(format string, args ...any) error {
	return &tunnel.RejectError{Code: tunnel.RejectToken, Message: fmt.Sprintf(format, args...)}
}
