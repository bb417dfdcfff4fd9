package relay

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"share/relay/acme"
)

// certify starts what keeps certificates, and what proves in the DNS whose a
// domain is, until ctx ends: then another process may do so.
func (r *Relay) certify(ctx context.Context, stop context.CancelCauseFunc, doors []Door) {
	if r.cfg.DNS != nil {
		r.wg.Go(func() {
			if err := r.cfg.DNS.Serve(ctx); err != nil {
				stop(fmt.Errorf("%w: %w", errAccept, err))
			}
		})
	}
	if r.cfg.ACME != nil {
		r.cfg.ACME.Want(r.certifies)
		r.cfg.ACME.Plain(slices.ContainsFunc(doors, func(d Door) bool { return d.Certificate == nil && !d.AgentsOnly }))
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

// domainProblem says why visitors do not reach a domain by TLS, empty if they do.
func (r *Relay) domainProblem(domain string) string {
	if r.certificate == nil || r.cfg.ACME != nil || r.certificate.Covers(domain) {
		return ""
	}
	return "the certificate of --tls-cert is not for it: name one that is, or have it obtained, with --email in place of --tls-cert"
}

// maxListed bounds the domains that a line of the log lists.
const maxListed = 10

// warnOfDomains tells the operator of domains that visitors do not reach.
func (r *Relay) warnOfDomains() {
	if r.domains == nil {
		return
	}
	var lost []string
	reason := ""
	for _, d := range r.domains.List() {
		if d.Problem != "" {
			lost, reason = append(lost, d.Domain.Domain), d.Problem
		}
	}
	if len(lost) > 0 {
		r.log.Warn("visitors do not reach domains", "count", len(lost), "domains", strings.Join(lost[:min(len(lost), maxListed)], ","), "reason", reason)
	}
}

// warnOfProofs tells the operator if a CA would look for proofs where no door is
// (RFC 8555 8.3, RFC 8737 3).
func (r *Relay) warnOfProofs(doors []Door) {
	if r.cfg.ACME == nil || !r.cfg.ACME.ByHost() {
		return
	}
	for _, d := range doors {
		_, port, _ := net.SplitHostPort(d.Addr().String())
		if port == "443" && d.Certificate != nil || port == "80" && d.Certificate == nil {
			return
		}
	}
	r.log.Warn("a CA looks for proofs at the ports 80 and 443 of a host, where no door listens: it finds none unless they are passed on to one",
		"hint", "listen at :443 with --https or at :80 with --redirect, or prove the domain in the DNS, with --dns")
}

// domainURL is what visitors type to reach a domain of an account's own.
func (r *Relay) domainURL(domain string) string {
	u := url.URL{Scheme: r.public.Scheme, Host: domain}
	if port := r.public.Port(); port != "" {
		u.Host = net.JoinHostPort(domain, port)
	}
	return u.String()
}
