package edge

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"share/tunnel"
	"share/tunnel/http1"
)

// The fields that a target may believe. What a visitor sends under these names
// is dropped, in any spelling that a server may take for them, unless the peer
// is a trusted proxy.
var forwarded = []string{
	"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded",
}

// The fields of visitors that are for the agent.
const (
	probeField  = "share-probe"
	healthField = "share-health"
)

// ours reports whether a visitor's field is one that share sets.
func ours(name []byte) bool {
	if len(name) == 0 {
		return false
	}
	switch name[0] | 0x20 {
	case 'x', 'f':
		for _, f := range forwarded {
			if http1.LooksLike(name, f) {
				return true
			}
		}
	case 's':
		if len(name) < len("share-") || !http1.LooksLike(name[:len("share-")], "share-") {
			return false
		}
		return !tunnel.EqualFold(name, probeField) && !tunnel.EqualFold(name, healthField)
	}
	return false
}

// A peer is the other end of a visitor's connection, as targets are told of
// it.
type peer struct {
	addr    string // host:port
	ip      string // without the port, in the form of RFC 5952
	https   bool
	trusted bool // its forwarding fields are believed
	proxies []netip.Prefix
}

func newPeer(addr net.Addr, https bool, trusted []netip.Prefix) peer {
	p := peer{addr: addr.String(), https: https, proxies: trusted}
	p.ip = p.addr
	if ap, err := netip.ParseAddrPort(p.addr); err == nil {
		ip := ap.Addr().Unmap().WithZone("")
		p.ip = ip.String()
		p.trusted = p.trusts(ip)
	}
	return p
}

func (p *peer) trusts(ip netip.Addr) bool {
	return slices.ContainsFunc(p.proxies, func(t netip.Prefix) bool { return t.Contains(ip) })
}

func (p *peer) scheme() string {
	if p.https {
		return "https"
	}
	return "http"
}

// defaultPort is the port of a scheme's URLs that name none.
func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// fields returns what is added to a request for host, as it was received.
func (p *peer) fields(host []byte, port int) tunnel.Header {
	node := p.ip
	if strings.Contains(node, ":") {
		node = `"[` + node + `]"`
	}
	var h tunnel.Header
	h.Add("X-Forwarded-For", p.ip)
	h.Add("X-Forwarded-Proto", p.scheme())
	h.Add("X-Forwarded-Host", string(host))
	if port >= 0 {
		h.Add("X-Forwarded-Port", strconv.Itoa(port))
	} else {
		h.Add("X-Forwarded-Port", defaultPort(p.scheme()))
	}
	h.Add("X-Real-IP", p.ip)
	h.Add("Forwarded", "for="+node+`;host="`+string(host)+`";proto=`+p.scheme())
	return h
}

// strip removes the fields that share sets from h, in place.
func (p *peer) strip(h tunnel.Header) tunnel.Header {
	n := 0
	for _, f := range h {
		if !ours(f.Name) || p.trusted && !tunnel.HasPrefixFold(f.Name, "share") {
			h[n] = f
			n++
		}
	}
	return h[:n]
}

// add appends what share sets to h.
func (p *peer) add(h, fields tunnel.Header) tunnel.Header {
	if p.trusted {
		return p.extend(h, fields)
	}
	return append(h, fields...)
}

// looped reports whether a request has been through the tunnel before: its Via
// fields name the pseudonym (RFC 9110 7.6.3).
func looped(h tunnel.Header, pseudonym string) bool {
	for _, f := range h {
		if tunnel.EqualFold(f.Name, "via") && bytes.Contains(f.Value, []byte(pseudonym)) {
			return true
		}
	}
	return false
}
