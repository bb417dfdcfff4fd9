package relay

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"share/relay/edge"
	"share/tunnel"
)

// lookup finds where a host leads.
func (r *Relay) lookup(host []byte) edge.Place {
	domain := r.domain
	if n := len(host) - len(domain); n > 0 && host[n-1] == '.' && string(host[n:]) == domain {
		if t := r.names.Lookup(host[:n-1]); t != nil {
			return edge.Place{Tunnel: t}
		}
		return edge.Place{}
	}
	if r.cfg.Sole {
		switch string(host) {
		case "localhost", "127.0.0.1", "::1":
			return edge.Place{Tunnel: r.names.Sole()}
		}
		if r.isAddress(string(host)) {
			return edge.Place{Tunnel: r.names.Sole()}
		}
		return edge.Place{}
	}
	if string(host) == domain || r.isOwn(string(host)) {
		return edge.Place{Home: true}
	}
	if r.domains != nil {
		return edge.Place{Tunnel: r.domains.Lookup(host)}
	}
	return edge.Place{}
}

// isAddress reports whether host is one of the addresses of a relay with a single
// tunnel.
func (r *Relay) isAddress(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && slices.Contains(r.cfg.Addresses, addr)
}

// isOwn reports whether host is the relay itself by address, as operators look
// at one that has no name yet.
func (r *Relay) isOwn(host string) bool {
	return r.domain == "localhost" && (host == "127.0.0.1" || host == "::1")
}

// publicURL is the URL of the domain, to which tunnels add their name.
func (r *Relay) publicURL(doors []Door) url.URL {
	if u := r.cfg.PublicURL; u != nil {
		return url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	best := url.URL{Scheme: "http", Host: r.domain}
	for _, d := range doors {
		if d.AgentsOnly || d.Redirect {
			continue
		}
		u := url.URL{Scheme: "http", Host: r.domain}
		if d.Certificate != nil {
			u.Scheme = "https"
		}
		_, port, err := net.SplitHostPort(d.Addr().String())
		if err == nil && port != defaultPort(u.Scheme) {
			u.Host = net.JoinHostPort(u.Host, port)
		}
		if best = u; u.Scheme == "https" {
			break
		}
	}
	return best
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// AgentAddress is what agents name to reach the relay at one of doors, empty if
// that is not known: behind a front, and where there is no domain.
func (r *Relay) AgentAddress(doors []Door) string {
	if r.cfg.PublicURL != nil || r.domain == "localhost" {
		return ""
	}
	best := ""
	for _, d := range doors {
		if d.Redirect {
			continue
		}
		u := url.URL{Scheme: "http", Host: r.domain}
		if d.Certificate != nil {
			u.Scheme = "https"
		}
		if _, port, err := net.SplitHostPort(d.Addr().String()); err == nil && port != defaultPort(u.Scheme) {
			u.Host = net.JoinHostPort(r.domain, port)
		}
		if u.Scheme == "https" {
			return u.Host
		}
		if best == "" {
			best = u.String()
		}
	}
	return best
}

// tunnelURL is what visitors type to reach a name.
func (r *Relay) tunnelURL(name string) string {
	if len(r.cfg.Addresses) > 0 {
		return r.public.Scheme + "://" + net.JoinHostPort(r.cfg.Addresses[0].String(), r.public.Port())
	}
	return r.public.Scheme + "://" + name + "." + r.public.Host
}

// elsewhere is the URL of a host that is asked for at a door that redirects,
// empty if it is neither the domain nor could be a tunnel's.
func (r *Relay) elsewhere(host []byte) string {
	for _, domain := range []string{r.domain, strings.ToLower(r.public.Hostname())} {
		if string(host) == domain {
			return r.public.Scheme + "://" + r.public.Host
		}
		if name, ok := strings.CutSuffix(string(host), "."+domain); ok && tunnel.ValidName(name) {
			return r.tunnelURL(name)
		}
	}
	if r.domains != nil && r.domains.Lookup(host) != nil {
		return r.domainURL(string(host))
	}
	return ""
}
