package edge

import (
	"bytes"
	"net/netip"

	"share/tunnel"
)

// extend appends what share sets to h, the fields of a trusted peer, which
// stay: the peer's address goes to the end of the lists it sent, and the rest
// is set where it is missing and does not contradict what is there.
func (p *peer) extend(h, fields tunnel.Header) tunnel.Header {
	list, forwarded := h.Has("x-forwarded-for"), h.Has("forwarded")
	proto := h.Get("x-forwarded-proto")
	for _, f := range fields {
		switch string(f.Name) {
		case "X-Forwarded-For":
			if list {
				join(h, "x-forwarded-for", f.Value)
			}
			if list || forwarded {
				continue
			}
		case "Forwarded":
			if forwarded {
				join(h, "forwarded", f.Value)
			}
			if list || forwarded {
				continue
			}
		case "X-Real-IP":
			if list {
				f.Value = p.origin(h)
			}
			if f.Value == nil || forwarded && !list {
				continue
			}
		case "X-Forwarded-Proto", "X-Forwarded-Port":
			if forwarded && proto == nil {
				continue
			}
			if string(f.Value) == defaultPort(p.scheme()) && proto != nil {
				f.Value = []byte(defaultPort(string(bytes.ToLower(proto))))
			}
		}
		if !h.Has(string(f.Name)) {
			h = append(h, f)
		}
	}
	return h
}

// join appends an element to the last field called name, a list. It leaves the
// bytes of the old value alone.
func join(h tunnel.Header, name string, element []byte) {
	for i := len(h) - 1; i >= 0; i-- {
		if !tunnel.EqualFold(h[i].Name, name) {
			continue
		}
		if len(h[i].Value) > 0 {
			element = bytes.Join([][]byte{h[i].Value, element}, []byte(", "))
		}
		h[i].Value = element
		return
	}
}

// origin is where a request came from that trusted proxies have passed on: the
// last address of X-Forwarded-For that is none of theirs, or else the first;
// nil if the list holds what is no address before that.
func (p *peer) origin(h tunnel.Header) (ip []byte) {
	for i := len(h) - 1; i >= 0; i-- {
		if !tunnel.EqualFold(h[i].Name, "x-forwarded-for") {
			continue
		}
		elements := bytes.Split(h[i].Value, []byte(","))
		for j := len(elements) - 1; j >= 0; j-- {
			addr, ok := nodeAddr(string(bytes.TrimSpace(elements[j])))
			if !ok {
				return nil
			}
			ip = []byte(addr.String())
			if !p.trusts(addr) {
				return ip
			}
		}
	}
	return ip
}

// visitor is where a request with the fields h came from: the peer, or whom it
// names if it is a trusted proxy.
func (p *peer) visitor(h tunnel.Header) string {
	if p.trusted {
		if ip := p.origin(h); ip != nil {
			return string(ip)
		}
	}
	return p.ip
}

// nodeAddr reads an address, which may have a port.
func nodeAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}
