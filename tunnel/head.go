package tunnel

import (
	"bytes"
	"strings"
)

// A Field is one header or trailer field, as received: neither the case of the
// name nor any byte of the value is changed. Name and Value may alias a buffer;
// whoever returns a Field says how long it stays valid.
type Field struct {
	Name, Value []byte
}

// Header is a list of fields in the order received, duplicates kept.
type Header []Field

// Get returns the value of the first field called name (ASCII case is
// ignored), or nil if there is none.
func (h Header) Get(name string) []byte {
	for i := range h {
		if EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return nil
}

// Has reports whether h has a field called name (ASCII case is ignored).
func (h Header) Has(name string) bool {
	for i := range h {
		if EqualFold(h[i].Name, name) {
			return true
		}
	}
	return false
}

// Join returns the values of all fields called name (ASCII case is ignored),
// joined with commas (RFC 9110 5.3); it is empty if there is none.
func (h Header) Join(name string) []byte {
	var values [][]byte
	for i := range h {
		if EqualFold(h[i].Name, name) {
			values = append(values, h[i].Value)
		}
	}
	return bytes.Join(values, []byte(", "))
}

// Add appends a field to h. It copies name and value.
func (h *Header) Add(name, value string) {
	*h = append(*h, Field{[]byte(name), []byte(value)})
}

// EqualFold reports whether b and s are equal, ignoring ASCII case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// HasPrefixFold reports whether b begins with prefix, ignoring ASCII case.
func HasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && EqualFold(b[:len(prefix)], prefix)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// RequestFlags tell the agent what the fields of a Request do not.
type RequestFlags uint8

const (
	RequestHTTPS      RequestFlags = 1 << iota // the visitor's connection was TLS
	RequestHTTP2                               // the visitor spoke HTTP/2
	RequestBody                                // a body follows, maybe of length 0
	RequestExpect                              // the visitor waits for 100 Continue (RFC 9110 10.1.1)
	RequestUpgrade                             // the visitor asks to upgrade (RFC 9110 7.8); the Upgrade field says to what
	RequestReplayable                          // no body, and GET, HEAD, OPTIONS or TRACE
	RequestTrailers                            // the visitor takes trailers (TE: trailers, RFC 9110 10.1.4)
)

// A Request is the head of an exchange: what a visitor asks of a target.
//
// Header holds the visitor's fields less those that end at the relay
// (RFC 9110 7.6.1) and with those that share sets; Host and Content-Length
// stand where the visitor put them, Transfer-Encoding and Connection are gone.
type Request struct {
	ID            []byte // the request's id, the same in every log
	Tunnel        uint32 // which of the session's tunnels, as BOUND numbered it
	Flags         RequestFlags
	Method        []byte
	Target        []byte // request-target as received (RFC 9112 3.2)
	Authority     []byte // Host or :authority as received
	Client        []byte // the visitor's address, host:port
	ContentLength int64  // bytes of body that follow, -1 if not known
	Header        Header
}

// ResponseFlags tell the relay what the fields of a Response do not.
type ResponseFlags uint8

const (
	ResponseAgent   ResponseFlags = 1 << iota // made by the agent: a failure, a probe, a health report
	ResponseUpgrade                           // the target switched protocols: bytes follow, both ways
)

// A Response is the head of an answer. One with a status below 200 (and
// without ResponseUpgrade) is interim: another follows.
type Response struct {
	Status        int
	Reason        []byte // the reason phrase, may be empty
	Flags         ResponseFlags
	ContentLength int64 // bytes of body that follow (0 for HEAD, 204, 304), -1 if not known
	Header        Header
}

// Interim reports whether another response follows this one.
func (r *Response) Interim() bool {
	return r.Status < 200 && r.Flags&ResponseUpgrade == 0
}

// ValidName reports whether s can be the name of a tunnel: a DNS label in
// lower case (RFC 1035 2.3.1, RFC 1123 2.1), 63 bytes at most.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
