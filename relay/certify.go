package relay

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
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

// certifies reports whether a host may have a certificate of its own now: if an
// agent holds its name, or is about to hold it again, or if it is a domain whose
// owner agrees. What a stranger asks for is none of these.
func (r *Relay) certifies(host string) bool {
	if name, ok := strings.CutSuffix(host, "."+r.domain); ok {
		t := r.names.Lookup([]byte(name))
		return t != nil && (t.Held() || t.Expected())
	}
	return r.domains != nil && r.domains.Lookup([]byte(host)) != nil
}

// domainURL is what visitors type to reach a domain of an account's own.
func (r *Relay) domainURL(domain string) string {
	u := url.URL{Scheme: r.public.Scheme, Host: domain}
	if port := r.public.Port(); port != "" {
		u.Host = net.JoinHostPort(domain, port)
	}
	return u.String()
}
