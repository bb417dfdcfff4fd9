package http1

import (
	"share/tunnel"
)

// Ends reports whether a field of this name ends here and is not forwarded
// (RFC 9110 7.6.1): Connection and the fields it names, Keep-Alive,
// Proxy-Connection, TE, Transfer-Encoding, Upgrade and HTTP2-Settings.
// Proxy-Authorization and Proxy-Authenticate go on: they are for a proxy that
// asked for credentials (RFC 9110 11.7), which share never does.
func (r *Request) Ends(name []byte) bool { return r.options.ends(name) }

// Ends is as for a request. A Connection option never ends a field that is
// meant for all recipients, such as Content-Length.
func (r *Response) Ends(name []byte) bool { return r.options.ends(name) }

func (o *options) ends(name []byte) bool {
	return lookup(name) >= fieldTransferEncoding || len(o.named) > 0 && o.names(name)
}

// Forward appends the fields that do not end here to dst, in order, as
// received. If r.Upgrade is set, an Upgrade field of that value stands where
// the first one stood. The fields alias what r.Fields aliases.
func (r *Request) Forward(dst tunnel.Header) tunnel.Header {
	return forward(dst, r.Fields, &r.options, r.Upgrade)
}

// Forward is as for a request: only a 101 keeps its Upgrade field.
func (r *Response) Forward(dst tunnel.Header) tunnel.Header {
	return forward(dst, r.Fields, &r.options, r.Upgrade)
}

func forward(dst, fields tunnel.Header, o *options, upgrade []byte) tunnel.Header {
	for _, f := range fields {
		if !o.ends(f.Name) {
			dst = append(dst, f)
		} else if upgrade != nil && lookup(f.Name) == fieldUpgrade {
			dst = append(dst, tunnel.Field{Name: f.Name, Value: upgrade})
			upgrade = nil
		}
	}
	return dst
}

// ForwardTrailers appends the trailer fields that go on to dst: those that
// neither frame nor route a message nor end at a hop (RFC 9110 6.5.1).
func ForwardTrailers(dst, trailers tunnel.Header) tunnel.Header {
	return forwardTrailers(dst, trailers, &options{})
}

// ForwardTrailers is the function of that name, less the fields that Connection
// names (RFC 9110 7.6.1).
func (r *Request) ForwardTrailers(dst, trailers tunnel.Header) tunnel.Header {
	return forwardTrailers(dst, trailers, &r.options)
}

// ForwardTrailers is as for a request. It holds to the next Parse, also when the
// bytes that were parsed have changed.
func (r *Response) ForwardTrailers(dst, trailers tunnel.Header) tunnel.Header {
	return forwardTrailers(dst, trailers, &r.options)
}

func forwardTrailers(dst, trailers tunnel.Header, o *options) tunnel.Header {
	for _, f := range trailers {
		if mayTrail(lookup(f.Name)) && !o.names(f.Name) {
			dst = append(dst, f)
		}
	}
	return dst
}

// HopByHop reports whether a field of this name ends at every hop, whether
// Connection names it or not.
func HopByHop(name []byte) bool { return lookup(name) >= fieldTransferEncoding }
