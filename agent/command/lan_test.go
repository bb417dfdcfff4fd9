package command

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"share/tunnel/cmdline"
)

func TestLocalAddresses(t *testing.T) {
	const up = net.FlagUp | net.FlagBroadcast
	on := func(flags net.Flags, prefixes ...string) networkInterface {
		i := networkInterface{flags: flags}
		for _, p := range prefixes {
			ip, n, err := net.ParseCIDR(p)
			if err != nil {
				t.Fatal(err)
			}
			i.addrs = append(i.addrs, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return i
	}
	loopback := on(up|net.FlagLoopback, "127.0.0.1/8", "::1/128")
	tests := []struct {
		name  string
		on    []networkInterface
		first string
		want  string
	}{
		{"nothing but loopback", []networkInterface{loopback}, "", "[]"},
		{"a network", []networkInterface{loopback, on(up, "192.168.1.2/24", "fe80::1/64")}, "192.168.1.2", "[192.168.1.2]"},
		{"IPv6 before IPv4", []networkInterface{on(up, "fd00::2/64", "10.0.0.2/8")}, "", "[10.0.0.2 fd00::2]"},
		{"IPv6 alone", []networkInterface{on(up, "2001:db8::1/64", "fd00::2/64")}, "", "[fd00::2]"},
		{"containers and a network", []networkInterface{on(up, "172.17.0.1/16"), on(up, "192.168.1.2/24")}, "192.168.1.2", "[192.168.1.2 172.17.0.1]"},
		{"public addresses", []networkInterface{on(up, "203.0.113.1/24", "2001:db8::1/64")}, "203.0.113.1", "[]"},
		{"one that is down", []networkInterface{on(0, "192.168.1.2/24")}, "", "[]"},
		{"a private network's other end", []networkInterface{on(up|net.FlagPointToPoint, "10.8.0.2/32")}, "10.8.0.2", "[]"},
		{"the same twice", []networkInterface{on(up, "192.168.1.2/24"), on(up, "192.168.1.2/24")}, "", "[192.168.1.2]"},
	}
	for _, tt := range tests {
		var first netip.Addr
		if tt.first != "" {
			first = netip.MustParseAddr(tt.first)
		}
		if got := fmt.Sprint(localAddresses(tt.on, first)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLANWithRelay(t *testing.T) {
	tests := []struct {
		wanted bool
		relays []string
		ok     bool
	}{
		{true, nil, true},
		{false, []string{"share.example.com"}, true},
		{true, []string{"share.example.com"}, false},
	}
	for _, tt := range tests {
		l := lan{wanted: tt.wanted}
		err := l.check(tt.relays)
		if tt.ok != (err == nil) {
			t.Errorf("%+v: got %v", tt, err)
		}
		if e, _ := err.(*cmdline.Error); err != nil && e.Code != cmdline.ExitUsage {
			t.Errorf("%+v: got %v, want exit code 2", tt, err)
		}
	}
}
