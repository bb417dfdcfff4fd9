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

	covers     func(host string) bool // the certificate it was shown is for host; nil without TLS
	redirected bool                   // no host is served to it
	refusal    *tunnel.Failure        // what its requests are answered with; nil if they are served
}

func newPeer(addr net.Addr, https bool, trusted []netip.Prefix) peer {
	p := peer{https: https, proxies: trusted}
	var ap netip.AddrPort
	if ta, ok := addr.(*net.TCPAddr); ok {
		ap = ta.AddrPort()
		ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		p.addr = ap.String()
	} else {
		p.addr = addr.String()
		ap, _ = netip.ParseAddrPort(p.addr) // what is none has no IP
	}
	p.ip = p.addr
	if ap.IsValid() {
		ip := ap.Addr().Unmap().WithZone("")
		p.ip = ip.String()
		p.trusted = p.trusts(ip)
	}
	return p
}

func (p *peer) trusts(ip netip.Addr) bool {
	return slices.ContainsFunc(p.proxies, func(t netip.Prefix) bool { return t.Contains(ip) })
}

// served reports whether requests for a host are served on its connection.
func (p *peer) served(host []byte) bool {
	return !p.redirected && (p.covers == nil || p.covers(string(host)))
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
func (p *peer) fields(host string, port int) tunnel.Header {
	open, end := "", ""
	if strings.Contains(p.ip, ":") {
		open, end = `"[`, `]"`
	}
	number := defaultPort(p.scheme())
	if port >= 0 {
		number = strconv.Itoa(port)
	}
	h := make(tunnel.Header, 0, len(forwarded))
	b := make([]byte, 0, 160+3*len(p.ip)+2*len(host)) // all of it
	add := func(name string, value ...string) {
		start := len(b)
		b = append(b, name...)
		middle := len(b)
		for _, v := range value {
			b = append(b, v...)
		}
		h = append(h, tunnel.Field{Name: b[start:middle:middle], Value: b[middle:len(b):len(b)]})
	}
	add("X-Forwarded-For", p.ip)
	add("X-Forwarded-Proto", p.scheme())
	add("X-Forwarded-Host", host)
	add("X-Forwarded-Port", number)
	add("X-Real-IP", p.ip)
	add("Forwarded", "for=", open, p.ip, end, `;host="`, host, `";proto=`, p.scheme())
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

// unforged removes from a request's trailers, in place, the fields that share
// sets. No peer is believed there: a proxy that sets them in the head may pass on
// what a visitor put behind the body.
func unforged(h tunnel.Header) tunnel.Header {
	return slices.DeleteFunc(h, func(f tunnel.Field) bool { return ours(f.Name) })
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
