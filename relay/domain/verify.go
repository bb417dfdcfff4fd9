package domain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"share/relay/account"
)

const (
	// lookEvery is how often domains are looked at that are not verified, while
	// they are new; rareEvery later.
	lookEvery = time.Minute
	rareEvery = time.Hour

	// newFor is how long a domain is new.
	newFor = 24 * time.Hour

	// lookTimeout bounds a look at one.
	lookTimeout = 5 * time.Second

	// proofLabel is below which a domain has its token.
	proofLabel = "_share."
)

// Run looks at the domains that are not verified until ctx ends.
func (d *Domains) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		for _, one := range *d.table.Load() {
			fresh := time.Since(one.Added) < newFor
			if !one.Verified.IsZero() || !fresh && n%int(rareEvery/lookEvery) != 0 {
				continue
			}
			if _, err := d.verify(ctx, one); err != nil && ctx.Err() == nil {
				d.cfg.Logger.Error("a domain cannot be written down", "domain", one.Domain, "error", err.Error())
			}
			if ctx.Err() != nil {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// verify looks at the DNS for what says that the domain's owner agrees, and
// returns the domain as it is then. An error is the store's.
func (d *Domains) verify(ctx context.Context, one account.Domain) (account.Domain, error) {
	how, reason := d.agreed(ctx, one)
	d.changing.Lock()
	defer d.changing.Unlock()
	now, ok := (*d.table.Load())[one.Domain]
	if !ok || now.Token != one.Token || now.Name != one.Name || !now.Verified.IsZero() {
		return now, nil // it was changed meanwhile
	}
	d.mu.Lock()
	d.reasons[one.Domain] = reason
	d.mu.Unlock()
	if how == "" {
		return now, nil
	}
	now.Verified = time.Now().UTC().Truncate(time.Second)
	if err := d.keep(ctx, now); err != nil {
		return now, err
	}
	d.cfg.Logger.Info("domain verified", "domain", now.Domain, "name", now.Name, "account", now.Account, "by", how)
	return now, nil
}

// agreed says how the domain's owner agrees, by CNAME or TXT, or why not.
func (d *Domains) agreed(ctx context.Context, one account.Domain) (how, reason string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	names, err := d.aliases(ctx, one.Domain)
	switch {
	case slices.Contains(names, one.Name+"."+d.cfg.Own):
		return "CNAME", ""
	case len(names) > 0:
		reason = "its CNAME is " + names[0]
	case err == nil:
		reason = "it has no CNAME"
	default:
		reason = short(err)
	}
	texts, err := d.cfg.Resolver.LookupTXT(ctx, proofLabel+one.Domain+".")
	switch {
	case slices.Contains(texts, one.Token):
		return "TXT", ""
	case len(texts) > 0:
		return "", fmt.Sprintf("%s, and the TXT of %s%s is not the token", reason, proofLabel, one.Domain)
	case err != nil:
		return "", fmt.Sprintf("%s, and %s%s: %s", reason, proofLabel, one.Domain, short(err))
	}
	return "", fmt.Sprintf("%s, and %s%s has no TXT", reason, proofLabel, one.Domain)
}

// short is what a resolver's error says.
func short(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return "there is no such name"
		}
		return "the DNS does not answer: " + e.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
