package dns

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// spreadTimeout bounds the wait for a zone's other servers, spreadEvery is
	// how often they are asked and askTimeout bounds an answer.
	spreadTimeout = time.Minute
	spreadEvery   = time.Second
	askTimeout    = 2 * time.Second

	// maxServers bounds the servers of a zone that are asked.
	maxServers = 20
)

// spread returns when the servers of a zone have a value, of which a CA asks
// any, or when spreadTimeout is over.
func (u *Updater) spread(ctx context.Context, zone, fqdn, value string) {
	ctx, cancel := context.WithTimeout(ctx, spreadTimeout)
	defer cancel()
	ticker := time.NewTicker(spreadEvery)
	defer ticker.Stop()
	for servers := u.servers(ctx, zone); ; {
		servers = slices.DeleteFunc(servers, func(addr string) bool { return has(ctx, addr, fqdn, value) })
		if len(servers) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// servers returns where the servers of a zone are asked, as far as that can be
// found out.
func (u *Updater) servers(ctx context.Context, zone string) (addrs []string) {
	m := new(dns.Msg)
	m.SetQuestion(zone, dns.TypeNS)
	r, err := u.exchange(ctx, m)
	if err != nil {
		return nil
	}
	for _, rr := range r.Answer {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		found, err := u.find(ctx, ns.Ns)
		if err == nil {
			addrs = append(addrs, found...)
		}
	}
	return addrs[:min(len(addrs), maxServers)]
}

// find asks the system for the addresses of a name server.
func find(ctx context.Context, host string) ([]string, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	for i, addr := range addrs {
		addrs[i] = net.JoinHostPort(addr, "53")
	}
	return addrs, err
}

// has reports whether a server answers with a value.
func has(ctx context.Context, addr, fqdn, value string) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m := new(dns.Msg)
	m.SetQuestion(fqdn, dns.TypeTXT)
	r, err := ask(ctx, &dns.Client{Net: "tcp", Timeout: askTimeout}, m, addr)
	return err == nil && slices.ContainsFunc(r.Answer, func(rr dns.RR) bool {
		t, ok := rr.(*dns.TXT)
		return ok && slices.Equal(t.Txt, []string{value})
	})
}
