package http1

import (
	"bytes"

	"share/tunnel"
)

// options is what the Connection fields of a message say (RFC 9110 7.6.1).
type options struct {
	close, keepAlive, upgrade bool
	named                     [][]byte // options that may be the names of fields
}

func (o *options) reset() {
	*o = options{named: o.named[:0]}
}

const tooManyOptions = "too many Connection options"

// parse adds a Connection field's options and says what is wrong with them, if
// anything is; all that are well formed are added nevertheless.
func (o *options) parse(list []byte) (wrong string) {
	for n := 0; len(list) > 0; n++ {
		var opt []byte
		opt, list = element(list)
		switch {
		case n == MaxOptions || len(o.named) == MaxOptions:
			return tooManyOptions
		case len(opt) == 0:
		case tunnel.EqualFold(opt, "close"):
			o.close = true
		case tunnel.EqualFold(opt, "keep-alive"):
			o.keepAlive = true
		case tunnel.EqualFold(opt, "upgrade"):
			o.upgrade = true
		case !isToken(opt):
			wrong = "malformed Connection option"
		case isProtected(opt):
			wrong = "Connection names a field that is meant for all recipients"
		case lookup(opt) != fieldOther: // ends here whether named or not
		default:
			o.named = append(o.named, opt)
		}
	}
	return wrong
}

// keep makes o hold when the bytes it was parsed from have changed.
func (o *options) keep() {
	for i, opt := range o.named {
		o.named[i] = bytes.Clone(opt)
	}
}

// names reports whether an option names the field.
func (o *options) names(field []byte) bool {
	for _, opt := range o.named {
		if equalFold(opt, field) {
			return true
		}
	}
	return false
}

// closes reports whether the connection ends with the message (RFC 9112 9.3).
func (o *options) closes(minor int) bool {
	return o.close || minor == 0 && !o.keepAlive
}

// isProtected reports whether the field is meant for all recipients, so that no
// Connection option may name it (RFC 9110 7.6.1): those that frame, route or
// authorise a message, or describe its content.
func isProtected(field []byte) bool {
	switch lookup(field) {
	case fieldHost, fieldContentLength, fieldTransferEncoding, fieldExpect, fieldTrailer:
		return true
	}
	for _, prefix := range [...]string{"content-", "sec-", "access-control-"} {
		if tunnel.HasPrefixFold(field, prefix) {
			return true
		}
	}
	for _, name := range [...]string{
		"authorization", "cache-control", "cookie", "location", "origin",
		"proxy-authorization", "range", "set-cookie", "via",
	} {
		if tunnel.EqualFold(field, name) {
			return true
		}
	}
	return false
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if class[c]&upper != 0 {
			c |= 0x20
		}
		if class[d]&upper != 0 {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}
