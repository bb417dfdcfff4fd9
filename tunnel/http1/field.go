package http1

import (
	"bytes"

	"share/tunnel"
)

// A known field is one whose meaning this package acts on.
type known uint8

const (
	fieldOther known = iota
	fieldHost
	fieldContentLength
	fieldExpect
	fieldTrailer
	// Those that follow end at every hop (RFC 9110 7.6.1).
	fieldTransferEncoding
	fieldConnection
	fieldKeepAlive
	fieldProxyConnection
	fieldTE
	fieldUpgrade
	fieldHTTP2Settings
)

// lookup tells which known field name is.
func lookup(name []byte) known {
	switch len(name) {
	case 2:
		return either(name, "te", fieldTE)
	case 4:
		return either(name, "host", fieldHost)
	case 6:
		return either(name, "expect", fieldExpect)
	case 7:
		if tunnel.EqualFold(name, "upgrade") {
			return fieldUpgrade
		}
		return either(name, "trailer", fieldTrailer)
	case 10:
		if tunnel.EqualFold(name, "connection") {
			return fieldConnection
		}
		return either(name, "keep-alive", fieldKeepAlive)
	case 14:
		if tunnel.EqualFold(name, "content-length") {
			return fieldContentLength
		}
		return either(name, "http2-settings", fieldHTTP2Settings)
	case 16:
		return either(name, "proxy-connection", fieldProxyConnection)
	case 17:
		return either(name, "transfer-encoding", fieldTransferEncoding)
	}
	return fieldOther
}

func either(name []byte, s string, k known) known {
	if tunnel.EqualFold(name, s) {
		return k
	}
	return fieldOther
}

// ValidName reports whether b can be the name of a field (RFC 9110 5.1).
func ValidName(b []byte) bool { return isToken(b) }

// ValidValue reports whether b can be the value of a field (RFC 9110 5.5): no
// control byte but HTAB, no white space at either end.
func ValidValue(b []byte) bool { return isText(b) && len(trim(b)) == len(b) }

// LooksLike reports whether name is field, ASCII case ignored, for a server
// that takes "_" in a name for "-", as CGI and its heirs do. A field is its own
// look-alike. field is in lower case.
func LooksLike(name []byte, field string) bool {
	if len(name) != len(field) {
		return false
	}
	for i, c := range name {
		if class[c]&upper != 0 {
			c |= 0x20
		}
		if c != field[i] && (c != '_' || field[i] != '-') {
			return false
		}
	}
	return true
}

// parseField reads a field line without its line end (RFC 9112 5) and says
// what is wrong with it, if anything is. f aliases line.
func parseField(line []byte) (f tunnel.Field, wrong string) {
	i := 0
	for i < len(line) && class[line[i]]&tchar != 0 {
		i++
	}
	if i == len(line) || line[i] != ':' {
		return f, fieldFault(line, i)
	}
	if i == 0 {
		return f, "empty field name"
	}
	f.Name, f.Value = line[:i:i], trim(line[i+1:])
	if !isText(f.Value) {
		return f, "control byte in a field value"
	}
	return f, ""
}

// fieldFault says why the byte at i ends no field name.
func fieldFault(line []byte, i int) string {
	switch {
	case i == len(line):
		return "field line without a colon"
	case line[i] != ' ' && line[i] != '\t':
		return "byte that is not of a token in a field name"
	case i == 0:
		return "folded field line"
	case bytes.IndexByte(line[i:], ':') < 0:
		return "field line without a colon"
	}
	return "space in a field name, or before its colon"
}
