package command

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sort"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// A lan is the wish that the relay in this process be reached from the local
// network.
type lan struct {
	wanted bool
}

func (l *lan) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Toggle("lan", "let the relay in this process be reached by everybody in the local network, unencrypted, and show its address there", &l.wanted),
	}
}

// check returns a *cmdline.Error for a wish that the relays named cannot fulfil.
func (l *lan) check(relays []string) error {
	if l.wanted && len(relays) > 0 {
		return cmdline.Usage("leave one of them away: only a relay in this process listens here", "--lan and a relay (--relay, SHARE_RELAY or a file) are both asked for")
	}
	return nil
}

// addresses are where the relay is to listen beside loopback, the one that its URL
// has first; none unless that is wished for.
func (l *lan) addresses() ([]netip.Addr, error) {
	if !l.wanted {
		return nil, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var interfaces []networkInterface
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it is gone
		}
		interfaces = append(interfaces, networkInterface{i.Flags, addrs})
	}
	found := localAddresses(interfaces, leaving())
	if len(found) == 0 {
		return nil, cmdline.Failed("join a network, or leave --lan away",
			fmt.Errorf("no network interface that is up has a private address, such as 192.168.1.2"))
	}
	return found, nil
}

// A networkInterface is what counts of one.
type networkInterface struct {
	flags net.Flags
	addrs []net.Addr
}

// localAddresses are the addresses that the local network alone reaches (RFC 1918,
// RFC 4193): others may be reached from everywhere, and a link between two
// machines leads elsewhere. first, if it is one of them, comes first, then IPv4.
func localAddresses(interfaces []networkInterface, first netip.Addr) (found []netip.Addr) {
	for _, i := range interfaces {
		if i.flags&net.FlagUp == 0 || i.flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		for _, a := range i.addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if addr := prefix.Addr().Unmap(); err == nil && addr.IsPrivate() && !slices.Contains(found, addr) {
				found = append(found, addr)
			}
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return rank(found[i], first) < rank(found[j], first) })
	return found
}

// rank orders addresses.
func rank(a, first netip.Addr) int {
	switch {
	case a == first:
		return 0
	case a.Is4():
		return 1
	}
	return 2
}

// leaving is the address from which this machine goes elsewhere: that of the
// network it is in, not of one that it makes for containers. It is invalid where
// there is no way.
func leaving() netip.Addr {
	// Nothing is sent: the system only looks for the way (RFC 5737).
	c, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
