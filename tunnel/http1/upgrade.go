package http1

import (
	"bytes"

	"share/tunnel"
)

// setUpgrade gathers the protocols of the Upgrade fields (RFC 9110 7.8) less
// h2c, which no gateway may pass on (RFC 9113 3.1). A single field without it
// stays as received.
func (r *Request) setUpgrade() error {
	n, changed := len(r.buf), r.upgrades > 1
	for _, f := range r.Fields {
		if lookup(f.Name) != fieldUpgrade {
			continue
		}
		for list := f.Value; len(list) > 0; {
			var p []byte
			p, list = element(list)
			switch {
			case len(p) == 0 || tunnel.EqualFold(p, "h2c"):
				changed = true
				continue
			case !isProtocol(p):
				return bad("malformed Upgrade")
			}
			if len(r.buf) > n {
				r.buf = append(r.buf, ", "...)
			}
			r.buf = append(r.buf, p...)
			r.Upgrade = f.Value
		}
	}
	if changed && r.Upgrade != nil {
		r.Upgrade = r.buf[n:]
	}
	return nil
}

// isProtocol reports whether p is a protocol: a name and perhaps a version
// (RFC 9110 7.8).
func isProtocol(p []byte) bool {
	name, version, ok := bytes.Cut(p, []byte("/"))
	return isToken(name) && (!ok || isToken(version))
}

// Asked reports whether every protocol that a 101 switches to stands in the
// Upgrade that asked for it, so that it may be passed on (RFC 9110 15.2.2).
// ASCII case is ignored.
func Asked(asked, chosen []byte) bool {
	switched := false
	for len(chosen) > 0 {
		var p []byte
		p, chosen = element(chosen)
		if len(p) == 0 {
			continue
		}
		found := false
		for list := asked; len(list) > 0 && !found; {
			var q []byte
			q, list = element(list)
			found = equalFold(p, q)
		}
		if !found {
			return false
		}
		switched = true
	}
	return switched
}

// asksTrailers reports whether a TE field lists trailers (RFC 9110 10.1.4).
func asksTrailers(value []byte) bool {
	for len(value) > 0 {
		var t []byte
		t, value = element(value)
		if tunnel.EqualFold(t, "trailers") {
			return true
		}
	}
	return false
}
