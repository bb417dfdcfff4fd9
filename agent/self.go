package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"share/agent/target"
	"share/tunnel/cmdline"
)

// selfTimeout bounds the look for a target that is the relay: a resolver that
// is slow must not delay the start.
const selfTimeout = time.Second

// checkSelf returns a *cmdline.Error if the target is the relay itself, which would
// answer each request by asking itself. A name that cannot be resolved now is
// not known to be; a loop that appears later is found by its Via field.
func checkSelf(ctx context.Context, t target.Address, relay RelayURL) error {
	if t.Path != "" || strconv.Itoa(t.Port) != relay.Port {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, selfTimeout)
	defer cancel()
	host := strings.TrimSuffix(t.Host, ".")
	self := host == relay.Host
	if !self {
		relays := resolve(ctx, relay.Host)
		for _, addr := range resolve(ctx, host) {
			// One address may serve two names, each something else; on this
			// machine, or by number, it is the same server.
			if slices.Contains(relays, addr) && (addr.IsLoopback() || isAddr(host) || isAddr(relay.Host)) {
				self = true
			}
		}
	}
	if !self {
		return nil
	}
	return cmdline.Usage("share the port of your own server", "the target %s is the relay itself", t)
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// resolve returns the addresses of host as they are dialled, none if they
// cannot be found.
func resolve(ctx context.Context, host string) []netip.Addr {
	if isLocalhost(host) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i, addr := range addrs {
		addr = addr.Unmap()
		// Dialling no address in particular reaches this machine (ip(7)).
		if addr.IsUnspecified() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		addrs[i] = addr
	}
	return addrs
}

// seedTarget is what a default name takes from the target: the port alone on
// this machine, however it was written.
func seedTarget(t target.Address) string {
	switch {
	case t.Path != "":
		return fmt.Sprintf("unix:%s", t.Path)
	case t.Loopback():
		return strconv.Itoa(t.Port)
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}
