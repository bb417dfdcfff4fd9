package relay

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"share/relay/acme"
)

// certify starts what keeps certificates, and what proves in the DNS whose a
// domain is, until ctx ends: then another process may do so.
func (r *Relay) certify(ctx context.Context, stop context.CancelCauseFunc) {
	if r.cfg.DNS != nil {
		r.wg.Go(func() {
			if err := r.cfg.DNS.Serve(ctx); err != nil {
				stop(fmt.Errorf("%w: %w", errAccept, err))
			}
		})
	}
	if r.cfg.ACME != nil {
		r.cfg.ACME.Want(r.certifies)
		r.wg.Go(func() { r.cfg.ACME.Run(ctx) })
	}
	if r.domains != nil {
		r.wg.Go(func() { r.domains.Run(ctx) })
	}
}

// certifies says whether a host may have a certificate of its own now: if an agent
// holds its name, or is about to hold it again, or if it is a domain whose owner
// agrees. While the agent is away, or the owner's will in doubt, the one that there
// is does: visitors are told what is amiss. What a stranger asks for has none.
func (r *Relay) certifies(host string) acme.Want {
	if name, ok := strings.CutSuffix(host, "."+r.domain); ok {
		switch t := r.names.Lookup([]byte(name)); {
		case t == nil:
			return acme.Nothing
		case t.Held(), t.Expected():
			return acme.Obtain
		}
		return acme.Show
	}
	if r.domains == nil || r.domains.Lookup([]byte(host)) == nil {
		return acme.Nothing
	}
	if d, ok := r.domains.Find(host); ok && d.Doubted.IsZero() {
		return acme.Obtain
	}
	return acme.Show
}

// domainURL is what visitors type to reach a domain of an account's own.
func (r *Relay) domainURL(domain string) string {
	u := url.URL{Scheme: r.public.Scheme, Host: domain}
	if port := r.public.Port(); port != "" {
		u.Host = net.JoinHostPort(domain, port)
	}
	return u.String()
}
