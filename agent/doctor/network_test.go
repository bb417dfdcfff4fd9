package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"share/agent"
	"share/tunnel/cmdline"
)

// wired returns a doctor whose resolver knows share.example.com alone, by what
// records has for ip4 and ip6, and whose network refuses what down has.
func wired(records map[string]string, down map[string]error) *Doctor {
	d := with(nil)
	d.Machine.Lookup = func(_ context.Context, network, host string) (addrs []netip.Addr, err error) {
		switch texts := records[network]; texts {
		case "":
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		case "silent":
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		default:
			for text := range strings.SplitSeq(texts, ",") {
				addrs = append(addrs, netip.MustParseAddr(text))
			}
		}
		return addrs, nil
	}
	d.Machine.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		if err := down[address]; err != nil {
			return nil, &net.OpError{Op: "dial", Err: err}
		}
		conn, other := net.Pipe()
		other.Close()
		return conn, nil
	}
	return d
}

func TestWayToRelay(t *testing.T) {
	const v4, v6 = "203.0.113.9", "2001:db8::9"
	both := map[string]string{"ip4": v4, "ip6": v6}
	for _, tt := range []struct {
		name    string
		host    string
		records map[string]string
		down    map[string]error
		want    map[cmdline.Check]string // state, and what stands in detail
	}{
		{"all is well", "share.example.com", both, nil,
			map[cmdline.Check]string{"dns": "ok share.example.com is 203.0.113.9, 2001:db8::9", "ipv4": "ok 203.0.113.9:443 connects", "ipv6": "ok [2001:db8::9]:443 connects"}},
		{"no name", "share.example.com", nil, nil,
			map[cmdline.Check]string{"dns": "failed does not resolve", "ipv4": "skipped no such address", "ipv6": "skipped no such address"}},
		{"no resolver", "share.example.com", map[string]string{"ip4": "silent", "ip6": "silent"}, nil,
			map[cmdline.Check]string{"dns": "failed i/o timeout"}},
		{"half a resolver", "share.example.com", map[string]string{"ip4": v4, "ip6": "silent"}, nil,
			map[cmdline.Check]string{"dns": "warning i/o timeout", "ipv4": "ok"}},
		{"one family", "share.example.com", map[string]string{"ip4": v4}, nil,
			map[cmdline.Check]string{"dns": "ok share.example.com is 203.0.113.9", "ipv6": "skipped no such address"}},
		{"an address", v4, nil, nil, map[cmdline.Check]string{"dns": "skipped is an address", "ipv4": "ok", "ipv6": "skipped"}},
		{"localhost", "localhost", nil, map[string]error{"[::1]:443": syscall.ECONNREFUSED},
			map[cmdline.Check]string{"dns": "skipped this machine", "ipv4": "ok", "ipv6": "skipped which is no fault"}},
		{"nobody", "share.example.com", both, map[string]error{v4 + ":443": syscall.ECONNREFUSED, "[" + v6 + "]:443": context.DeadlineExceeded},
			map[cmdline.Check]string{"ipv4": "failed 203.0.113.9:443 refuses connections", "ipv6": "failed [2001:db8::9]:443 gives no answer within 5s"}},
		{"one is down", "share.example.com", both, map[string]error{"[" + v6 + "]:443": syscall.ECONNREFUSED},
			map[cmdline.Check]string{"ipv4": "ok", "ipv6": "warning agents lose time before they try 203.0.113.9:443"}},
		{"a machine without IPv6", "share.example.com", both, map[string]error{"[" + v6 + "]:443": syscall.ENETUNREACH},
			map[cmdline.Check]string{"ipv4": "ok", "ipv6": "skipped this machine has no such address"}},
		{"two of one family", "share.example.com", map[string]string{"ip4": v4 + ",203.0.113.10"}, map[string]error{"203.0.113.10:443": errors.New("odd")},
			map[cmdline.Check]string{"ipv4": "warning 203.0.113.10:443 cannot be reached: odd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWay(wired(tt.records, tt.down), agent.RelayURL{Host: tt.host, Port: "443"})
			four, six, dns := w.checkDNS(t.Context())
			_, results := w.checkFamilies(t.Context(), four, six)
			for _, r := range append(results, dns) {
				if state, detail, ok := strings.Cut(tt.want[r.Check], " "); ok || state != "" {
					want(t, r, cmdline.State(state), detail, "")
				}
			}
		})
	}
}
