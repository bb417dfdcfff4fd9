package http1

import (
	"bytes"
	"net/netip"
)

// CanonicalHost checks the value of Host, or of another authority without
// userinfo: uri-host [ ":" port ] (RFC 9110 7.2, RFC 3986 3.2.2), and returns
// its parts for routing. name is in lower case, without a trailing dot, an IPv6
// address without its brackets and in the form of RFC 5952; it aliases host if
// that is canonical already, and is a copy otherwise. port is -1 if none is
// given ("name:" gives none). An empty host, more than one dot at its end,
// userinfo, a byte that RFC 3986 does not let stand there, a port above 65535
// and IPvFuture are an error.
func CanonicalHost(host []byte) (name []byte, port int, err error) {
	var buf []byte
	name, port, ok := canonicalHost(&buf, host)
	if !ok {
		return nil, 0, bad("host is not a valid authority")
	}
	return name, port, nil
}

// canonicalHost is CanonicalHost with room for a copy, if one is needed: it is
// appended to buf.
func canonicalHost(buf *[]byte, host []byte) (name []byte, port int, ok bool) {
	if len(host) > 0 && host[0] == '[' {
		return canonicalIPv6(host)
	}
	end, bits := 0, uint8(0)
	for ; end < len(host) && host[end] != ':'; end++ {
		c := class[host[end]]
		if c&regname == 0 && !isEscape(host[end:]) {
			return nil, 0, false
		}
		bits |= c
	}
	port, ok = parsePort(host[end:])
	name = bytes.TrimSuffix(host[:end:end], []byte("."))
	if !ok || len(name) == 0 || name[len(name)-1] == '.' {
		return nil, 0, false
	}
	if bits&upper != 0 {
		*buf = append(*buf, name...)
		name = (*buf)[len(*buf)-len(name):]
		for i, c := range name {
			if class[c]&upper != 0 {
				name[i] = c | 0x20
			}
		}
	}
	return name, port, true
}

// isEscape reports whether b begins with a percent-encoded byte
// (RFC 3986 2.1).
func isEscape(b []byte) bool {
	return len(b) >= 3 && b[0] == '%' && class[b[1]]&class[b[2]]&hexdig != 0
}

// canonicalIPv6 reads an IP-literal and what follows it.
func canonicalIPv6(host []byte) (name []byte, port int, ok bool) {
	end := bytes.IndexByte(host, ']')
	if end < 0 {
		return nil, 0, false
	}
	port, ok = parsePort(host[end+1:])
	addr, err := netip.ParseAddr(string(host[1:end]))
	if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
		return nil, 0, false
	}
	name = host[1:end:end]
	if canonical := addr.String(); canonical != string(name) {
		name = []byte(canonical)
	}
	return name, port, true
}

// parsePort reads [ ":" port ] to the end of b.
func parsePort(b []byte) (port int, ok bool) {
	if len(b) == 0 {
		return -1, true
	}
	if b[0] != ':' || len(b) > len(":65535") {
		return 0, false
	}
	if len(b) == 1 {
		return -1, true
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		port = port*10 + int(c-'0')
	}
	return port, port <= 65535
}
