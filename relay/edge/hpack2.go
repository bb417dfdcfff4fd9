package edge

import (
	"share/tunnel"
)

// Heads are written without the dynamic table of RFC 7541 2.3.2, whose upkeep
// costs more than its bytes: names of the static table by their number, the
// rest as literals. The first block says so (4.2, 6.3).
const hpackNoTable = 0x20

// staticStatus is where the static table has whole statuses (RFC 7541 A).
var staticStatus = map[int]byte{200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}

// staticNames is where the static table has the names of a response's fields
// (RFC 7541 A).
var staticNames = map[string]byte{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22,
	"cache-control": 24, "content-disposition": 25, "content-encoding": 26, "content-language": 27,
	"content-length": 28, "content-location": 29, "content-range": 30, "content-type": 31,
	"date": 33, "etag": 34, "expires": 36, "last-modified": 44, "link": 45, "location": 46,
	"proxy-authenticate": 48, "refresh": 52, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "transfer-encoding": 57, "vary": 59, "via": 60, "www-authenticate": 61,
}

// longestStatic is the length of the longest name of staticNames.
const longestStatic = len("access-control-allow-origin")

// appendStatus appends the field :status.
func appendStatus(b []byte, status int) []byte {
	if i, ok := staticStatus[status]; ok {
		return append(b, 0x80|i)
	}
	return append(b, 8, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// appendFields appends fields, their names in lower case (RFC 9113 8.2).
func appendFields(b []byte, fields tunnel.Header) []byte {
	for _, f := range fields {
		b = appendField(b, f.Name, f.Value)
	}
	return b
}

// appendField appends a literal without indexing (RFC 7541 6.2.2).
func appendField(b, name, value []byte) []byte {
	var lower [longestStatic]byte
	if len(name) <= len(lower) {
		if i, ok := staticNames[string(appendLower(lower[:0], name))]; ok {
			b = appendInt(b, 0, 4, int(i))
			b = appendInt(b, 0, 7, len(value))
			return append(b, value...)
		}
	}
	b = appendInt(append(b, 0), 0, 7, len(name))
	b = appendLower(b, name)
	b = appendInt(b, 0, 7, len(value))
	return append(b, value...)
}

// appendLower appends name in lower case.
func appendLower(b, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// appendInt appends n with a prefix of so many bits, beneath those of first
// (RFC 7541 5.1).
func appendInt(b []byte, first byte, bits, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
