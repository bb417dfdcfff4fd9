package edge

import (
	"errors"
	"strconv"

	"share/tunnel"
	"share/tunnel/http1"
)

// check reads a head into s.request and holds it to the rules of HTTP/1.1.
// What it finds is answered. end says that no body follows.
func (s *stream) check(end bool) *tunnel.Failure {
	h, r := &s.asked, &s.request
	r.Flags = tunnel.RequestHTTP2
	r.ContentLength = -1
	if end {
		r.ContentLength = 0
	}
	r.Method, r.Target, r.Authority = h.get(pseudoMethod), h.get(pseudoPath), h.get(pseudoAuthority)
	switch {
	case h.long:
		return tunnel.Fail(tunnel.RequestTargetTooLong, nil)
	case h.large:
		return tunnel.Fail(tunnel.RequestHeadTooLarge, nil)
	case string(r.Method) == "CONNECT" || len(r.Method) > http1.MaxMethod:
		return tunnel.Fail(tunnel.RequestNotImplemented, nil)
	}
	err := s.consistent(end)
	if err == nil {
		s.name, s.port, err = http1.CanonicalHost(r.Authority)
	}
	if err != nil {
		return tunnel.Fail(tunnel.RequestBad, err)
	}
	return nil
}

// consistent finds what would be read in another way behind the relay: a
// method or a path that does not stay one word of an HTTP/1.1 request line
// (RFC 9113 10.3), a Host beside another :authority (8.3.1), lengths that
// differ from each other or from an empty body's (8.1.1), and the names that
// pass for those of framing fields. It draws from the fields what the tunnel
// is told.
func (s *stream) consistent(end bool) error {
	h, r := &s.asked, &s.request
	if !http1.ValidName(r.Method) {
		return errors.New("malformed :method")
	}
	if !validPath(r.Method, r.Target) {
		return errors.New("malformed :path")
	}
	lengths := 0
	for i, span := range h.names {
		name, value := h.at(span), h.at(h.values[i])
		switch {
		case tunnel.EqualFold(name, "host"):
			if len(r.Authority) == 0 {
				r.Authority = value
			}
			if !tunnel.EqualFold(value, string(r.Authority)) {
				return errors.New("host differs from :authority")
			}
		case tunnel.EqualFold(name, "content-length"):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if lengths++; err != nil || lengths > 1 || end && n > 0 {
				return errors.New("content-length differs")
			}
			r.ContentLength = int64(n)
		case http1.LooksLike(name, "content-length") || http1.LooksLike(name, "transfer-encoding"):
			return errors.New("field name that passes for a framing field")
		case tunnel.EqualFold(name, "expect"):
			if !end && tunnel.EqualFold(value, "100-continue") {
				r.Flags |= tunnel.RequestExpect
			}
		case tunnel.EqualFold(name, "te"):
			r.Flags |= tunnel.RequestTrailers
		}
	}
	return nil
}

// validPath reports whether a path is in origin-form, or "*" with OPTIONS, as
// it is asked of HTTP/1.1.
func validPath(method, path []byte) bool {
	for _, c := range path {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return len(path) > 0 && path[0] == '/' || string(path) == "*" && string(method) == "OPTIONS"
}
