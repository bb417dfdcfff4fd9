package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"share/tunnel/cmdline"
)

// checkDNS looks the domain up, and returns its addresses.
func (d *Doctor) checkDNS(ctx context.Context) ([]netip.Addr, cmdline.Result) {
	const check cmdline.Check = "dns"
	if d.local() {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, check.Skipped("%s is this machine, without DNS: name a --domain for others", d.host())
	}
	if addr, err := netip.ParseAddr(d.host()); err == nil {
		return []netip.Addr{addr}, check.Failed("give the relay a name in DNS with --domain: tunnels live below it", "%s is an address, below which there are no names", d.host())
	}
	addrs, err := d.lookup(ctx, d.host())
	switch {
	case notFound(err):
		return nil, check.Failed("add to the zone: "+d.host()+". "+d.record(), "%s does not resolve", d.host())
	case err != nil:
		return nil, check.Failed("see /etc/resolv.conf, and whether the zone's servers answer", "%s cannot be looked up: %v", d.host(), err)
	case slices.ContainsFunc(addrs, netip.Addr.IsLoopback):
		return addrs, check.Failed("take "+d.host()+" out of /etc/hosts, to see what others see", "%s is %s here, which is this machine alone", d.host(), list(addrs))
	}
	return addrs, check.OK("%s is %s", d.host(), list(addrs))
}

// checkWildcard looks a name below the domain up that nobody has chosen.
func (d *Doctor) checkWildcard(ctx context.Context, domain []netip.Addr) cmdline.Result {
	const check cmdline.Check = "wildcard"
	if d.local() || len(domain) == 0 || d.host() == domain[0].String() {
		return check.Skipped("there is no domain that resolves")
	}
	name := anyName(d.host())
	cure := "add to the zone: *." + d.host() + ". CNAME " + d.host() + "."
	addrs, err := d.lookup(ctx, name)
	switch {
	case notFound(err):
		return check.Failed(cure, "%s does not resolve: there is no record for *", name)
	case err != nil:
		return check.Failed("see whether the zone's servers answer", "%s cannot be looked up: %v", name, err)
	case !slices.Equal(addrs, domain):
		return check.Failed(cure, "%s is %s, and %s is %s", name, list(addrs), d.host(), list(domain))
	}
	return check.OK("%s is the same", name)
}

// anyName is a name below a domain that nobody has.
func anyName(domain string) string {
	return "share-doctor-" + strings.ToLower(rand.Text()[:8]) + "." + domain
}

// checkAddress looks whether the domain leads to this machine.
func (d *Doctor) checkAddress(addrs []netip.Addr) cmdline.Result {
	const check cmdline.Check = "address"
	if d.local() || len(addrs) == 0 {
		return check.Skipped("there is no domain that resolves")
	}
	own, err := d.Machine.Addresses()
	if err != nil {
		return check.Skipped("the addresses of this machine cannot be listed: %v", err)
	}
	var here, elsewhere []netip.Addr
	for _, a := range addrs {
		if slices.Contains(own, a) {
			here = append(here, a)
		} else {
			elsewhere = append(elsewhere, a)
		}
	}
	switch {
	case len(elsewhere) == 0:
		return check.OK("%s is this machine", list(here))
	case d.Front:
		return check.Skipped("%s is not this machine, but --public-url says that there is a front", list(elsewhere))
	case len(here) > 0:
		return check.Failed("take what leads elsewhere out of the zone, or run a relay there", "%s is this machine, and %s is not", list(here), list(elsewhere))
	}
	return check.Skipped("%s is none of this machine's (%s): it is behind NAT, or the names lead elsewhere; what answers shows", list(elsewhere), list(own))
}

// lookup returns the addresses of a host, in order.
func (d *Doctor) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := d.Machine.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, len(found))
	for i, a := range found {
		addrs[i] = a.Unmap()
	}
	sort.Slice(addrs, func(i, j int) bool { return addrs[i].Less(addrs[j]) })
	return slices.Compact(addrs), nil
}

// notFound reports whether a lookup has shown that there is no such name.
func notFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// record is what leads a name to this machine, as far as that is known.
func (d *Doctor) record() string {
	if own, err := d.Machine.Addresses(); err == nil {
		for _, a := range own {
			if a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() {
				return "A " + a.String()
			}
		}
	}
	return "A and AAAA with the addresses of this machine"
}

func list(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
