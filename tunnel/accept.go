package tunnel

import "bytes"

// A media is one of the forms a failure's body takes.
type media uint8

const (
	asText media = iota
	asHTML
	asJSON
)

// Bounds on an Accept field: what comes after them is not read.
const (
	maxAccept       = 4 << 10
	maxAcceptRanges = 64
)

// negotiate picks a form from an Accept field (RFC 9110 12.5.1): the one of
// the highest weight; among equals the one named first, and one that is named
// before one that only a wildcard allows. HTML and JSON must be named, since
// the programs that send */* print what they get; text is the answer when
// nothing fits.
func negotiate(accept []byte) media {
	if len(accept) > maxAccept {
		accept = accept[:maxAccept]
	}
	best, bestWeight, bestNamed := asText, 0, false
	for n := 0; len(accept) > 0 && n < maxAcceptRanges; n++ {
		var element []byte
		element, accept = cutQuoted(accept, ',')
		name, params := cutQuoted(element, ';')
		m, named, ok := mediaOf(bytes.TrimSpace(name))
		if !ok {
			continue
		}
		w := weight(params)
		if w > bestWeight || w == bestWeight && w > 0 && named && !bestNamed {
			best, bestWeight, bestNamed = m, w, named
		}
	}
	return best
}

// mediaOf gives the form that a media range asks for, and whether it names it
// or allows it by a wildcard.
func mediaOf(name []byte) (m media, named, ok bool) {
	switch {
	case EqualFold(name, "text/html"), EqualFold(name, "application/xhtml+xml"):
		return asHTML, true, true
	case EqualFold(name, "application/json"), HasPrefixFold(name, "application/") && hasSuffixFold(name, "+json"):
		return asJSON, true, true
	case EqualFold(name, "text/plain"):
		return asText, true, true
	case EqualFold(name, "text/*"), EqualFold(name, "*/*"):
		return asText, false, true
	}
	return 0, false, false
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && EqualFold(b[len(b)-len(suffix):], suffix)
}

// weight gives the q parameter in thousandths: 1000 if there is none, 0 if it
// is not a qvalue (RFC 9110 12.4.2).
func weight(params []byte) int {
	for len(params) > 0 {
		var p []byte
		p, params = cutQuoted(params, ';')
		name, value, found := bytes.Cut(p, []byte("="))
		if !found || !EqualFold(bytes.TrimSpace(name), "q") {
			continue
		}
		return qvalue(bytes.TrimSpace(value))
	}
	return 1000
}

func qvalue(b []byte) int {
	if len(b) == 0 || len(b) > 5 || b[0] != '0' && b[0] != '1' || len(b) > 1 && b[1] != '.' {
		return 0
	}
	w, unit := int(b[0]-'0')*1000, 100
	for _, c := range b[min(2, len(b)):] {
		if c < '0' || c > '9' {
			return 0
		}
		w, unit = w+int(c-'0')*unit, unit/10
	}
	if w > 1000 {
		return 0
	}
	return w
}

// cutQuoted cuts b at the first sep that stands outside a quoted-string.
func cutQuoted(b []byte, sep byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == sep && !quoted:
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}
