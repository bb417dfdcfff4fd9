package account

import (
	"context"
	"time"

	"share/relay/store"
)

// A Domain is one of an account's own, at which a tunnel of that account is
// reached beside its URL.
type Domain struct {
	Domain  string    `json:"domain"` // in lower case, without a dot at its end
	Name    string    `json:"name"`   // the tunnel's
	Account string    `json:"account"`
	Token   string    `json:"token"` // what proves in the DNS that the domain's owner agrees
	Added   time.Time `json:"added"` // for the name

	// Verified is when that was found, zero if it has not been.
	Verified time.Time `json:"verified,omitzero"`

	// Doubted is when it was found that the owner does not agree any more, zero
	// if they do.
	Doubted time.Time `json:"doubted,omitzero"`
}

// Domains returns all domains, in their order.
func (a *Accounts) Domains(ctx context.Context) ([]Domain, error) {
	var domains []Domain
	err := a.each(ctx, domainPrefix, func(e store.Entry) error {
		var d Domain
		if err := decode(e, &d); err != nil {
			return err
		}
		domains = append(domains, d)
		return nil
	})
	return domains, err
}

// KeepDomain writes a domain down. It is for one goroutine at a time.
func (a *Accounts) KeepDomain(ctx context.Context, d Domain) error {
	w, err := put(domainPrefix+d.Domain, d)
	if err != nil {
		return err
	}
	return a.write(ctx, []store.Write{w})
}

// ForgetDomain gives a domain up.
func (a *Accounts) ForgetDomain(ctx context.Context, domain string) error {
	return a.write(ctx, []store.Write{{Key: domainPrefix + domain, Delete: true}})
}
