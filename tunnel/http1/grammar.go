package http1

import (
	"bytes"
	"encoding/binary"
)

// Classes of bytes, as bits of class.
const (
	tchar   = 1 << iota // RFC 9110 5.6.2
	fvalue              // RFC 9110 5.5: field-vchar, SP and HTAB
	visible             // RFC 5234 B.1: VCHAR
	hexdig              // RFC 5234 B.1, in either case
	regname             // RFC 3986 3.2.2: unreserved and sub-delims
	upper               // A to Z
)

var class = classes()

func classes() (t [256]uint8) {
	set := func(s string, bits uint8) {
		for i := range len(s) {
			t[s[i]] |= bits
		}
	}
	for c := 0x21; c <= 0x7e; c++ {
		t[c] |= visible | fvalue
	}
	for c := 0x80; c <= 0xff; c++ {
		t[c] |= fvalue // obs-text
	}
	set(" \t", fvalue)
	set("0123456789", tchar|hexdig|regname)
	set("abcdefghijklmnopqrstuvwxyz", tchar|regname)
	set("ABCDEFGHIJKLMNOPQRSTUVWXYZ", tchar|regname|upper)
	set("abcdefABCDEF", hexdig)
	set("!#$%&'*+-.^_`|~", tchar)
	set("-._~"+"!$&'()*+,;=", regname)
	return t
}

// isToken reports whether b is a token (RFC 9110 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if class[c]&tchar == 0 {
			return false
		}
	}
	return len(b) > 0
}

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// isText reports whether b holds only bytes of a field-value or reason-phrase:
// no control but HTAB (RFC 9110 5.5, RFC 9112 4).
func isText(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		// A byte below 0x20, or 0x7f, leaves its high bit set.
		x := binary.LittleEndian.Uint64(b)
		del := x ^ ones*0x7f
		if ((x-ones*0x20)&^x|(del-ones)&^del)&high != 0 && !isTextSlow(b[:8]) {
			return false
		}
	}
	return isTextSlow(b)
}

func isTextSlow(b []byte) bool {
	for _, c := range b {
		if class[c]&fvalue == 0 {
			return false
		}
	}
	return true
}

// isVisible reports whether b holds only VCHAR (RFC 5234 B.1).
func isVisible(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ ones*0x7f
		if ((x-ones*0x21)&^x|(del-ones)&^del|x)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if class[c]&visible == 0 {
			return false
		}
	}
	return true
}

// trim removes optional white space (RFC 9110 5.6.3) from both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return trimRight(b)
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// element cuts the first element from a comma-separated list without quoted
// strings (RFC 9110 5.6.1). The element is empty where the list leaves one out;
// rest is nil, not empty, behind the last one.
func element(list []byte) (elem, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

// cutLine cuts the first line, which must end in CRLF, from b.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, b, false
	}
	return b[:i-1], b[i+1:], true
}

// parseLength reads a Content-Length (RFC 9110 8.6): 1*DIGIT, no more than
// MaxLength.
func parseLength(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > MaxLength/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0 && n <= MaxLength
}

// parseVersion reads an HTTP-version (RFC 9112 2.3). Minor versions above 1 are
// taken for 1: a message of the same major version has this syntax
// (RFC 9110 2.5).
func parseVersion(b []byte) (major, minor int, ok bool) {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" || b[6] != '.' {
		return 0, 0, false
	}
	if b[5] < '0' || b[5] > '9' || b[7] < '0' || b[7] > '9' {
		return 0, 0, false
	}
	return int(b[5] - '0'), min(int(b[7]-'0'), 1), true
}
