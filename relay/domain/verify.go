package domain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"share/relay/account"
)

const (
	// lookEvery is how often domains are looked at that are not verified, while
	// they are new; rareEvery all others.
	lookEvery = time.Minute
	rareEvery = time.Hour

	// newFor is how long a domain is new.
	newFor = 24 * time.Hour

	// doubtFor is how long a verified domain stays so of which the DNS says
	// that its owner does not agree any more: it may be a mistake.
	doubtFor = 24 * time.Hour

	// lookTimeout bounds a look at one, and maxLooking how many are looked at
	// at a time.
	lookTimeout = 5 * time.Second
	maxLooking  = 8

	// proofLabel is below which a domain has its token.
	proofLabel = "_share."
)

// A look is what the last look at a domain has found.
type look struct {
	at     time.Time
	reason string // why its owner does not agree, empty if they do
}

// Run looks at the domains until ctx ends: whether the owners of those agree that
// are not verified, and still do of the others.
func (d *Domains) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.lookAtAll(ctx, time.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// lookAtAll looks at the domains whose time has come.
func (d *Domains) lookAtAll(ctx context.Context, now time.Time) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, maxLooking)
	for _, one := range *d.table.Load() {
		if !d.due(one, now) {
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-room }()
			if _, err := d.verify(ctx, one); err != nil && ctx.Err() == nil {
				d.cfg.Logger.Error("a domain cannot be written down", "domain", one.Domain, "error", err.Error())
			}
		})
	}
}

// due reports whether it is time to look at a domain.
func (d *Domains) due(one account.Domain, now time.Time) bool {
	every := rareEvery
	if one.Verified.IsZero() && now.Sub(one.Added) < newFor {
		every = lookEvery
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Sub(d.looks[one.Domain].at) > every-lookEvery/2
}

// verify looks at the DNS for what says that the domain's owner agrees, and
// returns the domain as it is then. An error is the store's.
func (d *Domains) verify(ctx context.Context, one account.Domain) (account.Domain, error) {
	how, reason, sure := d.agreed(ctx, one)
	d.changing.Lock()
	defer d.changing.Unlock()
	now, ok := (*d.table.Load())[one.Domain]
	if !ok || now.Token != one.Token || now.Name != one.Name || ctx.Err() != nil {
		return now, nil // it was changed meanwhile
	}
	d.mu.Lock()
	d.looks[one.Domain] = look{time.Now(), reason}
	d.mu.Unlock()
	was, at := now, time.Now().UTC().Truncate(time.Second)
	switch {
	case how != "" && now.Verified.IsZero():
		now.Verified = at
	case how != "":
		now.Doubted = time.Time{}
	case now.Verified.IsZero() || !sure:
	case now.Doubted.IsZero():
		now.Doubted = at
	case at.Sub(now.Doubted) >= doubtFor:
		now.Verified, now.Doubted = time.Time{}, time.Time{}
	}
	if now == was {
		return now, nil
	}
	if err := d.keep(ctx, now); err != nil {
		return was, err
	}
	log := d.cfg.Logger.With("domain", now.Domain, "name", now.Name, "account", now.Account)
	switch {
	case how != "":
		log.Info("domain verified", "by", how)
		if problem := d.problem(now.Domain); problem != "" {
			log.Warn("visitors do not reach the domain", "reason", problem)
		}
	case now.Verified.IsZero():
		log.Warn("the domain leads nowhere any more: its owner does not agree", "reason", reason)
	default:
		log.Warn("the domain's owner does not agree any more", "reason", reason, "until", now.Doubted.Add(doubtFor))
	}
	return now, nil
}

// agreed says how the domain's owner agrees, by CNAME or TXT, or why not; sure
// says that the DNS has answered.
func (d *Domains) agreed(ctx context.Context, one account.Domain) (how, reason string, sure bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	names, err := d.aliases(ctx, one.Domain)
	sure = answered(err)
	switch {
	case slices.Contains(names, one.Name+"."+d.cfg.Own):
		return "CNAME", "", true
	case len(names) > 0:
		reason = "its CNAME is " + names[0]
	case err == nil:
		reason = "it has no CNAME"
	default:
		reason = short(err)
	}
	texts, err := d.cfg.Resolver.LookupTXT(ctx, proofLabel+one.Domain+".")
	sure = sure && answered(err)
	switch {
	case slices.Contains(texts, one.Token):
		return "TXT", "", true
	case len(texts) > 0:
		reason = fmt.Sprintf("%s, and the TXT of %s%s is not the token", reason, proofLabel, one.Domain)
	case err != nil:
		reason = fmt.Sprintf("%s, and %s%s: %s", reason, proofLabel, one.Domain, short(err))
	default:
		reason = fmt.Sprintf("%s, and %s%s has no TXT", reason, proofLabel, one.Domain)
	}
	return "", reason, sure
}

// answered reports whether the error of a lookup, if there is one, is the DNS's
// answer.
func answered(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return err == nil || ok && e.IsNotFound
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
