// Package domain keeps the domains of a relay's accounts that lead to their
// tunnels, and finds out in the DNS whether the owner of each agrees.
package domain

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"share/relay/account"
	"share/relay/route"
	"share/tunnel"
)

const (
	// maxDomains bounds the domains of an account, maxAll those of a relay.
	maxDomains = 100
	maxAll     = 10_000

	// maxDomain bounds the bytes of a domain (RFC 1035 2.3.4).
	maxDomain = 253
)

// Config is what Domains work with. All of it must be set but where it says
// otherwise.
type Config struct {
	Accounts *account.Accounts // where they are written down
	Names    *route.Registry   // whose tunnels they lead to
	Own      string            // the relay's domain
	Resolver *net.Resolver     // if nil, net.DefaultResolver
	Logger   *slog.Logger      // if nil, nothing is logged

	// Problem says why visitors do not reach a domain although its owner agrees,
	// empty if they do. If nil, they do.
	Problem func(domain string) string
}

// Domains are those of a relay's accounts. They may be used by many goroutines.
type Domains struct {
	cfg Config

	changing sync.Mutex                                // held while a domain changes
	table    atomic.Pointer[map[string]account.Domain] // by domain; replaced as a whole

	mu    sync.Mutex
	looks map[string]look // guarded by mu; by domain
}

// New returns Domains that Load fills.
func New(cfg Config) *Domains {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Domains{cfg: cfg, looks: make(map[string]look)}
	d.table.Store(&map[string]account.Domain{})
	return d
}

// Load reads the domains that were written down.
func (d *Domains) Load(ctx context.Context) error {
	all, err := d.cfg.Accounts.Domains(ctx)
	if err != nil {
		return err
	}
	table := make(map[string]account.Domain, len(all))
	for _, one := range all {
		table[one.Domain] = one
	}
	d.table.Store(&table)
	return nil
}

// Lookup returns the tunnel that a host in canonical form leads to, nil if that
// is no verified domain, or if its name is another account's by now.
func (d *Domains) Lookup(host []byte) *route.Tunnel {
	one, ok := (*d.table.Load())[string(host)]
	if !ok || one.Verified.IsZero() {
		return nil
	}
	if t := d.cfg.Names.Lookup([]byte(one.Name)); t != nil && t.Account() == one.Account {
		return t
	}
	return nil
}

// Find returns a domain, verified or not; ok is false if there is none.
func (d *Domains) Find(domain string) (one account.Domain, ok bool) {
	one, ok = (*d.table.Load())[canonical(domain)]
	return one, ok
}

// A Status is what there is to know of a domain.
type Status struct {
	account.Domain
	Target  string `json:"target"`            // what its CNAME is expected to be
	Reason  string `json:"reason,omitempty"`  // why it is not verified, or doubted
	Problem string `json:"problem,omitempty"` // why visitors do not reach it although it is verified
}

func (d *Domains) status(one account.Domain) Status {
	s := Status{Domain: one, Target: one.Name + "." + d.cfg.Own}
	if one.Verified.IsZero() || !one.Doubted.IsZero() {
		d.mu.Lock()
		s.Reason = cmp.Or(d.looks[one.Domain].reason, "not looked at yet")
		d.mu.Unlock()
	}
	if !one.Verified.IsZero() {
		s.Problem = d.problem(one.Domain)
	}
	return s
}

func (d *Domains) problem(domain string) string {
	if d.cfg.Problem == nil {
		return ""
	}
	return d.cfg.Problem(domain)
}

// List returns all domains, in their order.
func (d *Domains) List() []Status {
	table := *d.table.Load()
	all := []Status{}
	for _, domain := range slices.Sorted(maps.Keys(table)) {
		all = append(all, d.status(table[domain]))
	}
	return all
}

// Add makes a domain lead to a name, which is reserved for the account that
// owns it, and looks once whether the domain's owner agrees. An
// *account.InvalidError or *account.ConflictError says why that cannot be. A
// domain that was added before keeps its token.
func (d *Domains) Add(ctx context.Context, domain, name string) (Status, error) {
	domain = canonical(domain)
	if err := d.check(domain); err != nil {
		return Status{}, err
	}
	if !tunnel.ValidName(name) {
		return Status{}, &account.InvalidError{Reason: "a domain leads to a name, with at most 63 of a-z, 0-9 and -: add --name"}
	}
	one, err := d.add(ctx, domain, name)
	if err != nil {
		return Status{}, err
	}
	if one.Verified.IsZero() || !one.Doubted.IsZero() {
		if one, err = d.verify(ctx, one); err != nil {
			return Status{}, err
		}
	}
	return d.status(one), nil
}

func (d *Domains) add(ctx context.Context, domain, name string) (account.Domain, error) {
	owner, ok := d.cfg.Names.Owner(name)
	if !ok {
		return account.Domain{}, &account.ConflictError{Reason: "the name " + name + " is nobody's: reserve it for the account first, with share relay name reserve"}
	}
	d.changing.Lock()
	defer d.changing.Unlock()
	table := *d.table.Load()
	one, known := table[domain]
	switch {
	case known && one.Account != owner:
		return one, &account.ConflictError{Reason: fmt.Sprintf("the domain %s is %s's, and leads to %s: remove it first", domain, one.Account, one.Name)}
	case known && one.Name == name:
		return one, d.cfg.Names.Reserve(ctx, name, owner)
	case !known && len(table) >= maxAll:
		return one, &account.ConflictError{Reason: fmt.Sprintf("the relay has %d domains, which is the limit", maxAll)}
	case !known:
		n := 0
		for _, other := range table {
			if other.Account == owner {
				n++
			}
		}
		if n >= maxDomains {
			return one, &account.ConflictError{Reason: fmt.Sprintf("%s has %d domains, which is the limit", owner, maxDomains)}
		}
		one = account.Domain{Domain: domain, Account: owner, Token: rand.Text()}
	}
	one.Name, one.Added, one.Verified, one.Doubted = name, time.Now().UTC().Truncate(time.Second), time.Time{}, time.Time{}
	if err := d.cfg.Names.Reserve(ctx, name, owner); err != nil {
		return one, err
	}
	return one, d.keep(ctx, one)
}

// keep writes a domain down and makes it known; changing is held.
func (d *Domains) keep(ctx context.Context, one account.Domain) error {
	if err := d.cfg.Accounts.KeepDomain(ctx, one); err != nil {
		return err
	}
	table := maps.Clone(*d.table.Load())
	table[one.Domain] = one
	d.table.Store(&table)
	return nil
}

// Remove takes a domain away: account.ErrUnknown if there is none.
func (d *Domains) Remove(ctx context.Context, domain string) (account.Domain, error) {
	domain = canonical(domain)
	d.changing.Lock()
	defer d.changing.Unlock()
	one, ok := (*d.table.Load())[domain]
	if !ok {
		return one, fmt.Errorf("domain %.64q: %w", domain, account.ErrUnknown)
	}
	if err := d.cfg.Accounts.ForgetDomain(ctx, domain); err != nil {
		return one, err
	}
	table := maps.Clone(*d.table.Load())
	delete(table, domain)
	d.table.Store(&table)
	d.mu.Lock()
	delete(d.looks, domain)
	d.mu.Unlock()
	return one, nil
}

// canonical is a domain as it is looked up.
func canonical(domain string) string { return strings.ToLower(strings.TrimSuffix(domain, ".")) }

// check returns why no domain of an account is called so.
func (d *Domains) check(domain string) error {
	labels := strings.Split(domain, ".")
	_, notIP := netip.ParseAddr(domain)
	switch {
	case len(domain) > maxDomain || len(labels) < 2 || notIP == nil ||
		slices.ContainsFunc(labels, func(l string) bool { return !tunnel.ValidName(l) }):
		return &account.InvalidError{Reason: fmt.Sprintf("%.100q is no domain such as app.example.com", domain)}
	case domain == d.cfg.Own || strings.HasSuffix(domain, "."+d.cfg.Own):
		return &account.InvalidError{Reason: domain + " is the relay's own: names below it need no domain"}
	}
	return nil
}
