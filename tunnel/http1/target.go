package http1

import (
	"bytes"

	"share/tunnel"
)

// checkTarget checks a request-target's form and bytes (RFC 9112 3.2).
func checkTarget(method, target []byte) error {
	if !isVisible(target) || bytes.IndexByte(target, '#') >= 0 {
		return bad("byte that may not stand in a target")
	}
	switch {
	case len(target) == 0:
		return bad("empty target")
	case target[0] == '/':
		return nil
	case string(target) == "*":
		if string(method) != "OPTIONS" {
			return bad("asterisk-form without OPTIONS")
		}
		return nil
	case scheme(target) == "":
		return bad("target in no form that is served")
	}
	return nil
}

// scheme is http or https if target begins as a URI of one of them
// (RFC 9112 3.2.2), or else empty.
func scheme(target []byte) string {
	for _, s := range [...]string{"http", "https"} {
		if tunnel.HasPrefixFold(target, s) && bytes.HasPrefix(target[len(s):], []byte("://")) {
			return s
		}
	}
	return ""
}

// originForm turns an absolute-form target, whose authority must be that of
// Host, into origin-form or, for OPTIONS of a whole server, asterisk-form
// (RFC 9112 3.2.1, 3.2.4).
func (r *Request) originForm() error {
	if r.Target[0] == '/' || r.Target[0] == '*' {
		return nil
	}
	s := scheme(r.Target)
	rest := r.Target[len(s)+len("://"):]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	name, port, ok := canonicalHost(&r.buf, rest[:end:end])
	if !ok {
		return bad("malformed authority in an absolute target")
	}
	if !bytes.Equal(name, r.Name) || effectivePort(port, s) != effectivePort(r.Port, s) {
		return bad("authority of an absolute target that is not Host")
	}
	switch rest = rest[end:]; {
	case len(rest) > 0 && rest[0] == '/':
		r.Target = rest
	case len(rest) == 0 && string(r.Method) == "OPTIONS":
		r.Target = []byte("*")
	default:
		n := len(r.buf)
		r.buf = append(append(r.buf, '/'), rest...)
		r.Target = r.buf[n:]
	}
	return nil
}

// effectivePort is port, or the scheme's own if none is given
// (RFC 9110 4.2.1, 4.2.2).
func effectivePort(port int, scheme string) int {
	switch {
	case port >= 0:
		return port
	case scheme == "https":
		return 443
	}
	return 80
}
