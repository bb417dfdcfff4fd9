package domain

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxAliases bounds how far CNAMEs are followed.
	maxAliases = 8

	// askTimeout bounds an answer of one server.
	askTimeout = 2 * time.Second
)

// errAsked keeps a resolver from asking.
var errAsked = errors.New("not asked")

// aliases returns what a domain stands for by its CNAME and, where that has one
// too, by those behind it, in their order. net.Resolver has one of them: the first or
// the last, as its questions happen to be answered. The error is a *net.DNSError.
func (d *Domains) aliases(ctx context.Context, domain string) (names []string, err error) {
	q := new(dns.Msg)
	q.SetQuestion(domain+".", dns.TypeA)
	r, err := d.ask(ctx, q)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: domain, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	next := make(map[string]string)
	for _, rr := range r.Answer {
		if c, ok := rr.(*dns.CNAME); ok {
			next[canonical(c.Hdr.Name)] = canonical(c.Target)
		}
	}
	for name, ok := next[domain]; ok && len(names) < maxAliases; name, ok = next[name] {
		names = append(names, name)
	}
	switch {
	case len(names) > 0 || r.Rcode == dns.RcodeSuccess:
		return names, nil
	case r.Rcode == dns.RcodeNameError:
		return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
	}
	return nil, &net.DNSError{Err: dns.RcodeToString[r.Rcode], Name: domain, IsTemporary: true}
}

// ask puts a question to the servers that the resolver asks, until one answers.
func (d *Domains) ask(ctx context.Context, q *dns.Msg) (r *dns.Msg, err error) {
	err = errors.New("there is no server")
	for _, addr := range d.servers(ctx, q.Question[0].Name) {
		for _, network := range []string{"udp", "tcp"} {
			r, err = d.askAt(ctx, q, network, addr)
			if err != nil || !r.Truncated {
				break
			}
		}
		if err == nil && r.Rcode != dns.RcodeServerFailure && r.Rcode != dns.RcodeRefused || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

// servers returns where the resolver would ask for a name: it is let try, and dials
// in vain.
func (d *Domains) servers(ctx context.Context, fqdn string) (addrs []string) {
	r := net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
		return nil, errAsked
	}}
	// The error is errAsked.
	_, _ = r.LookupTXT(ctx, fqdn)
	return addrs
}

// askAt puts a question to one server.
func (d *Domains) askAt(ctx context.Context, q *dns.Msg, network, addr string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	dial := d.cfg.Resolver.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	r, _, err := new(dns.Client).ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: nc})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case !r.Response || !slices.Equal(r.Question, q.Question):
		return nil, errors.New("it answers something else")
	}
	return r, nil
}
