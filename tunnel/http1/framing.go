package http1

import (
	"share/tunnel"
)

// setLength applies a Content-Length field (RFC 9112 6.2).
func (r *Request) setLength(value []byte) error {
	n, ok := parseLength(value)
	switch {
	case r.Chunked:
		return bad("Content-Length beside Transfer-Encoding")
	case r.Body:
		return bad("more than one Content-Length")
	case !ok:
		return bad("malformed Content-Length")
	}
	r.Body, r.ContentLength = true, n
	return nil
}

// setCoding applies a Transfer-Encoding field (RFC 9112 6.1). Whether the
// version knows it, finish looks.
func (r *Request) setCoding(value []byte) error {
	switch {
	case r.Chunked:
		return bad("more than one Transfer-Encoding")
	case r.Body:
		return bad("Transfer-Encoding beside Content-Length")
	case tunnel.EqualFold(value, "chunked"):
		r.Body, r.Chunked, r.ContentLength = true, true, -1
		return nil
	case !isCodings(value):
		return bad("malformed Transfer-Encoding")
	}
	return requestError(tunnel.RequestNotImplemented, "transfer coding other than chunked")
}

// isCodings reports whether value lists transfer codings that a request could
// be framed by (RFC 9112 6.1, 6.3): tokens, with chunked once and last if at
// all. Parameters are of no coding that is registered.
func isCodings(value []byte) bool {
	for {
		var coding []byte
		coding, value = element(value)
		if !isToken(coding) {
			return false
		}
		if value == nil {
			return true
		}
		if tunnel.EqualFold(coding, "chunked") {
			return false
		}
	}
}

// addLength applies a Content-Length field. Of equal ones, in one field or in
// several, the first alone is kept (RFC 9110 8.6).
func (r *Response) addLength(f tunnel.Field) error {
	first, list := element(f.Value)
	n, ok := parseLength(first)
	for ok && list != nil {
		var again []byte
		var m int64
		again, list = element(list)
		if m, ok = parseLength(again); m != n {
			ok = false
		}
	}
	if !ok {
		return badResponse("malformed Content-Length")
	}
	if r.length {
		if n != r.ContentLength {
			return badResponse("two different Content-Lengths")
		}
		return nil
	}
	r.length, r.ContentLength = true, n
	r.Fields = append(r.Fields, tunnel.Field{Name: f.Name, Value: first})
	return nil
}

// frame draws from fields, status and the request's method how the body ends
// (RFC 9112 6.3).
func (r *Response) frame(method []byte) error {
	switch {
	case r.Chunked && r.length:
		return badResponse("Content-Length beside Transfer-Encoding")
	case r.Chunked && r.Minor == 0:
		return badResponse("Transfer-Encoding in HTTP/1.0")
	case r.Status < 200:
		if r.Chunked || r.ContentLength > 0 {
			return badResponse("framing fields in a 1xx")
		}
		r.ContentLength = 0
	case r.Status == 204:
		// A body would be a lie, but some servers send one.
		r.Close = r.Close || r.Chunked || r.ContentLength > 0
		r.Chunked, r.ContentLength = false, 0
	case r.Status == 304, string(method) == "HEAD":
		r.Chunked, r.ContentLength = false, 0
	case r.Chunked:
		r.ContentLength = -1
	case !r.length:
		r.ContentLength, r.CloseDelimited, r.Close = -1, true, true
	}
	return nil
}
