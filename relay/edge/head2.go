package edge

import (
	"golang.org/x/net/http2/hpack"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/nbio"
)

// A pseudo is a pseudo-field of a request (RFC 9113 8.3.1).
type pseudo uint8

const (
	pseudoMethod pseudo = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudos
)

var pseudoNames = [pseudos]string{":method", ":scheme", ":authority", ":path"}

// A span is a piece of a head's text.
type span struct{ from, to int }

// A head is what a header block holds: a request's head, or trailers. Its
// fields stand in order, their names in the case that HTTP/1.1 is used to. It
// is held to the bounds of HTTP/1.1 as it grows, and keeps no more than these.
type head struct {
	text   []byte
	pseudo [pseudos]span
	seen   [pseudos]bool
	names  []span // of the other fields
	values []span
	crumbs []byte // the values of Cookie fields, joined (RFC 9113 8.2.3)
	cookie int    // which field is the first of them, -1 if none is

	trailers bool   // these are no request's
	size     int    // of all fields, about as HTTP/1.1 writes them
	long     bool   // :path is longer than may be
	large    bool   // there are more fields or bytes than may be
	wrong    string // what makes it malformed (RFC 9113 8.1.1)
}

// reset makes h ready for a block.
func (h *head) reset(trailers bool) {
	*h = head{
		text: h.text[:0], names: h.names[:0], values: h.values[:0], crumbs: h.crumbs[:0],
		cookie: -1, trailers: trailers,
	}
}

// trim gives up what an unusually large head took.
func (h *head) trim() {
	if cap(h.text) > nbio.Small {
		h.text = nil
	}
	if cap(h.crumbs) > nbio.Small {
		h.crumbs = nil
	}
}

func (h *head) at(s span) []byte { return h.text[s.from:s.to:s.to] }

func (h *head) get(p pseudo) []byte { return h.at(h.pseudo[p]) }

// keep copies a string to the text.
func (h *head) keep(s string) span {
	from := len(h.text)
	h.text = append(h.text, s...)
	return span{from, len(h.text)}
}

// add takes the next field of the block.
func (h *head) add(f hpack.HeaderField) {
	h.size += len(f.Name) + len(f.Value) + len(": \r\n")
	if f.Name == ":path" && len(f.Value) > http1.MaxTarget {
		h.long = true
	}
	if h.large = h.large || h.size > http1.MaxHead; h.large || h.wrong != "" {
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		h.wrong = h.addPseudo(f)
		return
	}
	h.wrong = h.addField(f)
}

func (h *head) addPseudo(f hpack.HeaderField) (wrong string) {
	if h.trailers {
		return "a pseudo-field in trailers"
	}
	for p, name := range pseudoNames {
		if name != f.Name {
			continue
		}
		if h.seen[p] {
			return "a pseudo-field twice"
		}
		if len(h.names) > 0 {
			return "a pseudo-field behind another field"
		}
		h.seen[p], h.pseudo[p] = true, h.keep(f.Value)
		if !http1.ValidValue(h.at(h.pseudo[p])) {
			return "an invalid pseudo-field"
		}
		return ""
	}
	return "an unknown pseudo-field"
}

func (h *head) addField(f hpack.HeaderField) (wrong string) {
	name := h.keep(f.Name)
	b := h.at(name)
	if !http1.ValidName(b) || !canonical(b) {
		return "an invalid field name"
	}
	if http1.HopByHop(b) {
		// RFC 9113 8.2.2. HTTP2-Settings is no field that it knows.
		if f.Name != "http2-settings" && !(f.Name == "te" && tunnel.EqualFold([]byte(f.Value), "trailers")) {
			return "a field of the connection"
		}
	}
	value := h.keep(f.Value)
	if !http1.ValidValue(h.at(value)) {
		return "an invalid field value"
	}
	if f.Name == "cookie" && !h.trailers {
		if h.cookie >= 0 {
			h.crumbs = append(append(h.crumbs, "; "...), f.Value...)
			h.text = h.text[:name.from]
			return ""
		}
		h.cookie = len(h.names)
		h.crumbs = append(h.crumbs, f.Value...)
	}
	if len(h.names) == http1.MaxFields {
		h.large = true
		return ""
	}
	h.names, h.values = append(h.names, name), append(h.values, value)
	return ""
}

// canonical gives a name the case that HTTP/1.1 is used to; false if it is not
// in lower case.
func canonical(name []byte) bool {
	first := true
	for i, c := range name {
		switch {
		case 'A' <= c && c <= 'Z':
			return false
		case first && 'a' <= c && c <= 'z':
			name[i] = c - ('a' - 'A')
		}
		first = c == '-'
	}
	return true
}

// malformed says why a request's stream has to be reset (RFC 9113 8.1.1), or
// nothing. Other faults are answered: see check.
func (h *head) malformed() string {
	scheme := string(h.get(pseudoScheme))
	switch {
	case h.wrong != "":
		return h.wrong
	case h.large || h.long || string(h.get(pseudoMethod)) == "CONNECT":
		return ""
	case len(h.get(pseudoMethod)) == 0 || len(h.get(pseudoPath)) == 0:
		return "no :method or no :path"
	case scheme != "http" && scheme != "https":
		return "no :scheme that is served"
	}
	return ""
}

// fields appends those that go on to dst, whose first is Host. They alias h.
func (h *head) fields(dst tunnel.Header, authority []byte) tunnel.Header {
	dst = append(dst, tunnel.Field{Name: hostName, Value: authority})
	for i := range h.names {
		f := tunnel.Field{Name: h.at(h.names[i]), Value: h.at(h.values[i])}
		if i == h.cookie {
			f.Value = h.crumbs
		}
		if !tunnel.EqualFold(f.Name, "host") && !http1.HopByHop(f.Name) {
			dst = append(dst, f)
		}
	}
	return dst
}

// forward appends trailers that go on to dst. They alias h.
func (h *head) forward(dst tunnel.Header) tunnel.Header {
	for i := range h.names {
		dst = append(dst, tunnel.Field{Name: h.at(h.names[i]), Value: h.at(h.values[i])})
	}
	return http1.ForwardTrailers(dst[:0], dst)
}

var hostName = []byte("Host")
