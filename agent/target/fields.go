package target

import (
	"bytes"
	"slices"
	"strconv"

	"share/tunnel"
)

// A kind is what a field of a request is to the connection that carries it.
type kind uint8

const (
	fieldOther   kind = iota
	fieldHost         // the target's Host
	fieldLength       // Content-Length
	fieldUpgrade      // made anew if the request is to upgrade
	fieldEnds         // ends at every hop (RFC 9110 7.6.1)
	fieldShare        // share's own
)

// kindOf tells a field by its name.
func kindOf(name []byte) kind {
	switch len(name) {
	case 2:
		return is(name, "te", fieldEnds)
	case 4:
		return is(name, "host", fieldHost)
	case 7:
		return is(name, "upgrade", fieldUpgrade)
	case 10:
		if tunnel.EqualFold(name, "connection") || tunnel.EqualFold(name, "keep-alive") {
			return fieldEnds
		}
	case 14:
		if tunnel.EqualFold(name, "content-length") {
			return fieldLength
		}
		return is(name, "http2-settings", fieldEnds)
	case 16:
		return is(name, "proxy-connection", fieldEnds)
	case 17:
		return is(name, "transfer-encoding", fieldEnds)
	}
	if isShare(name) {
		return fieldShare
	}
	return fieldOther
}

func is(name []byte, s string, k kind) kind {
	switch {
	case tunnel.EqualFold(name, s):
		return k
	case isShare(name):
		return fieldShare
	}
	return fieldOther
}

// appendLength appends a Content-Length of n, under the name that was received.
func appendLength(b, name []byte, n int64) []byte {
	b = append(append(b, name...), ": "...)
	return append(strconv.AppendInt(b, n, 10), "\r\n"...)
}

// isShare reports whether a field of this name is share's own, which neither a
// visitor nor a target may set. Some servers take "_" in a name for "-".
func isShare(name []byte) bool {
	return len(name) > len("share") && (name[0]|0x20) == 's' &&
		(tunnel.HasPrefixFold(name, "share-") || tunnel.HasPrefixFold(name, "share_"))
}

// scrub removes from a target's fields what would pass for share's: Share-*
// and the members of Proxy-Status that bear share's names (RFC 9209 2). It
// changes h in place.
func scrub(h tunnel.Header) tunnel.Header {
	kept := h[:0]
	for _, f := range h {
		if isShare(f.Name) {
			continue
		}
		if tunnel.EqualFold(f.Name, "proxy-status") {
			if f.Value = scrubProxyStatus(f.Value); f.Value == nil {
				continue
			}
		}
		kept = append(kept, f)
	}
	return kept
}

// scrubProxyStatus removes share's members from a Proxy-Status list (RFC 8941
// 3.1). What has none stays as it is; nil if nothing stays. A list whose last
// string does not end is dropped: joined with the next field it would read
// differently.
func scrubProxyStatus(list []byte) []byte {
	var kept []byte
	dropped := false
	for rest := list; rest != nil; {
		var member []byte
		var ok bool
		if member, rest, ok = cutMember(rest); !ok {
			return nil
		}
		if isShareMember(member) {
			dropped = true
			continue
		}
		if len(member) == 0 {
			continue
		}
		if kept != nil {
			kept = append(kept, ", "...)
		}
		kept = append(kept, member...)
	}
	if !dropped {
		return list
	}
	return kept
}

// cutMember cuts the first member from a list. Commas inside strings separate
// nothing. rest is nil behind the last member; ok is false if a string does not
// end.
func cutMember(list []byte) (member, rest []byte, ok bool) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return bytes.TrimSpace(list[:i]), list[i+1:], true
		}
	}
	return bytes.TrimSpace(list), nil, !quoted
}

// isShareMember reports whether a member's item, a token or a string, is a name
// that share answers under.
func isShareMember(member []byte) bool {
	item, _, _ := bytes.Cut(member, []byte(";"))
	item = bytes.Trim(bytes.TrimSpace(item), `"`)
	return tunnel.EqualFold(item, tunnel.Agent.String()) || tunnel.EqualFold(item, tunnel.Relay.String())
}

// without removes the fields called name, in lower case, from h, in place.
func without(h tunnel.Header, name string) tunnel.Header {
	return slices.DeleteFunc(h, func(f tunnel.Field) bool { return tunnel.EqualFold(f.Name, name) })
}
