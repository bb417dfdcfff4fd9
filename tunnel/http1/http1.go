// Package http1 is the grammar of HTTP/1.1 messages (RFC 9112): what the relay
// reads from visitors and the agent from targets. It owns no socket and starts
// no goroutine. Heads are parsed in place, from the bytes a caller has read,
// into values that are used again for the next message, so that a usual
// message costs no allocation.
//
// # Requests
//
// A request is read strictly: where RFC 9112 leaves a recipient a choice, the
// request is refused, save that one empty line may stand before it (2.2). The
// decisions taken:
//
//   - Lines end in CRLF. A bare LF or CR, NUL and every other control byte,
//     obs-fold, a space before a colon and an empty field name are 400.
//   - The method is any token of at most [MaxMethod] bytes; CONNECT and a
//     longer one are 501.
//   - The target is in origin-form, in absolute-form with http or https, or
//     "*" with OPTIONS. It holds visible ASCII other than "#": browsers send
//     bytes raw that RFC 3986 wants encoded, and all pass as received. In
//     absolute-form its authority must be that of Host, and it is forwarded in
//     origin-form (3.2.2).
//   - HTTP/1.0 and HTTP/1.1 are served, HTTP/1.2 to 1.9 are taken for 1.1.
//     Another major version is 505; none at all (HTTP/0.9) is 400.
//   - Host stands exactly once and is not empty, in HTTP/1.0 too, because a
//     request without it reaches no tunnel.
//   - Content-Length stands once, as 1*DIGIT, at most [MaxLength].
//     Transfer-Encoding stands once, is "chunked", in HTTP/1.1 only and never
//     beside Content-Length; another coding is 501. Content_Length and
//     Transfer_Encoding are 400.
//   - A Connection option that names a field meant for all recipients (Host,
//     Content-Length, Authorization and their like, RFC 9110 7.6.1) is 400, and
//     so are a malformed option and more than [MaxOptions] of them.
//   - Expect is honoured when it is "100-continue"; any other expectation is
//     the target's to refuse.
//
// # Responses
//
// A response is cleaned where RFC 9112 asks a gateway to: white space before a
// colon is removed and obs-fold becomes spaces, in place (5.1, 5.2), a bare LF
// ends a line (2.2), and identical Content-Lengths become one (RFC 9110 8.6).
// What leaves the framing in doubt is refused: Content-Length beside
// Transfer-Encoding, a coding other than chunked, Transfer-Encoding in
// HTTP/1.0, and framing fields in a 1xx. A status outside 100 to 599 is refused.
//
// Every error is a [*tunnel.Failure] whose Cause gives the status.
package http1

import (
	"errors"

	"share/tunnel"
)

// Bounds on what is read. The relay's are those its visitors are promised; the
// target's head fits the wire's largest head.
const (
	MaxHead           = 32 << 10 // request head, with an empty line before it
	MaxFields         = 100      // fields of a request, or of a trailer section
	MaxTarget         = 16 << 10 // request-target
	MaxMethod         = 64       // above every registered method (RFC 9110 16.1)
	MaxOptions        = 32       // Connection options, each compared with each field
	MaxResponseHead   = 64 << 10 // response head
	MaxResponseFields = 1000     // fields of a response: bounds the Header, not the bytes
	MaxChunkLine      = 4 << 10  // chunk-size with its extensions
	MaxLength         = 1 << 62  // Content-Length and chunk-size: sums of two fit an int64
)

func requestError(c tunnel.Cause, detail string) error {
	return tunnel.Fail(c, errors.New(detail))
}

// bad is a request that RFC 9112 or this package's strictness refuses.
func bad(detail string) error {
	return requestError(tunnel.RequestBad, detail)
}

func responseError(c tunnel.Cause, detail string) error {
	f := tunnel.Fail(c, errors.New(detail))
	f.By = tunnel.Agent
	return f
}

// badResponse is a response that is no HTTP, or whose framing is in doubt.
func badResponse(detail string) error {
	return responseError(tunnel.TargetBadResponse, detail)
}
