package http1

import (
	"strings"

	"share/tunnel"
)

// A rule is a line of the grammar: what is done with an input, and why. A want
// of CauseNone means that the input is taken. The fuzz tests begin with every
// input here.
type rule struct {
	rule    string
	section string // of RFC 9112, unless another is named
	input   string
	want    tunnel.Cause
}

const (
	taken = tunnel.CauseNone
	e400  = tunnel.RequestBad
	e414  = tunnel.RequestTargetTooLong
	e431  = tunnel.RequestHeadTooLarge
	e501  = tunnel.RequestNotImplemented
	e505  = tunnel.RequestVersion
	e502  = tunnel.TargetBadResponse
	large = tunnel.TargetHeadTooLarge
)

func get(fields ...string) string {
	return head(append([]string{"GET / HTTP/1.1", "Host: a"}, fields...)...)
}

func post(fields ...string) string {
	return head(append([]string{"POST / HTTP/1.1", "Host: a"}, fields...)...)
}

var requestRules = []rule{
	{"plain", "2.1", get(), taken},
	{"one empty line before it", "2.2", "\r\n" + get(), taken},
	{"two empty lines before it", "2.2", "\r\n\r\n" + get(), e400},
	{"bare LF for an empty line before it", "2.2", "\n" + get(), e400},
	{"bare LF everywhere", "2.2", "GET / HTTP/1.1\nHost: a\n\n", e400},
	{"bare LF behind the request line", "2.2", "GET / HTTP/1.1\nHost: a\r\n\r\n", e400},
	{"bare LF behind a field", "2.2", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", e400},
	{"bare LF in the last line end", "2.2", "GET / HTTP/1.1\r\nHost: a\r\n\n", e400},
	{"bare LF before a hidden request", "2.2", "GET / HTTP/1.1\r\nHost: a\n\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", e400},
	{"bare CR in the request line", "2.2", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", e400},
	{"bare CR in a value", "2.2", get("X: y\rz"), e400},
	{"CR CR LF", "2.2", get("X: y\r"), e400},
	{"white space before the first field", "2.2", head("GET / HTTP/1.1", " Host: a"), e400},
	{"white space line before the first field", "2.2", head("GET / HTTP/1.1", " ", "Host: a"), e400},
	{"TLS where HTTP is spoken", "2.2", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", e400},
	{"binary garbage", "2.2", "\x00\x01\x02\x03", e400},

	{"version 1.0", "2.3", head("GET / HTTP/1.0", "Host: a"), taken},
	{"version 1.2 taken for 1.1", "RFC 9110 2.5", head("GET / HTTP/1.2", "Host: a"), taken},
	{"version 1.9 taken for 1.1", "RFC 9110 2.5", head("GET / HTTP/1.9", "Host: a"), taken},
	{"major version 2", "RFC 9110 15.6.6", head("GET / HTTP/2.0", "Host: a"), e505},
	{"major version 3", "RFC 9110 15.6.6", head("GET / HTTP/3.7", "Host: a"), e505},
	{"major version 0", "RFC 9110 15.6.6", head("GET / HTTP/0.9", "Host: a"), e505},
	{"preface of HTTP/2", "RFC 9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", e505},
	{"HTTP/0.9", "2.3", "GET /\r\n", e400},
	{"HTTP/0.9 with an empty line", "2.3", "GET /\r\n\r\n", e400},
	{"version in lower case", "2.3", head("GET / http/1.1", "Host: a"), e400},
	{"two digits", "2.3", head("GET / HTTP/1.10", "Host: a"), e400},
	{"leading zero", "2.3", head("GET / HTTP/01.1", "Host: a"), e400},
	{"no minor", "2.3", head("GET / HTTP/1", "Host: a"), e400},
	{"comma for a dot", "2.3", head("GET / HTTP/1,1", "Host: a"), e400},
	{"sign in a version", "2.3", head("GET / HTTP/+1.1", "Host: a"), e400},
	{"other protocol", "2.3", head("GET / ICAP/1.0", "Host: a"), e400},

	{"two spaces before the target", "3", head("GET  / HTTP/1.1", "Host: a"), e400},
	{"two spaces before the version", "3", head("GET /  HTTP/1.1", "Host: a"), e400},
	{"tab for a space", "3", head("GET\t/ HTTP/1.1", "Host: a"), e400},
	{"tab before the version", "3", head("GET /\tHTTP/1.1", "Host: a"), e400},
	{"space behind the version", "3", head("GET / HTTP/1.1 ", "Host: a"), e400},
	{"space before the method", "3", head(" GET / HTTP/1.1", "Host: a"), e400},
	{"method alone", "3", head("GET", "Host: a"), e400},
	{"method and version alone", "3", head("GET HTTP/1.1", "Host: a"), e400},
	{"vertical tab for a space", "3", head("GET /\vHTTP/1.1", "Host: a"), e400},
	{"target with a space", "3", head("GET /a b HTTP/1.1", "Host: a"), e400},
	{"version twice", "3", head("GET / HTTP/1.1 HTTP/1.1", "Host: a"), e400},

	{"method in lower case", "3.1", head("get / HTTP/1.1", "Host: a"), taken},
	{"method of another registry", "3.1", head("M-SEARCH / HTTP/1.1", "Host: a"), taken},
	{"method of every tchar", "3.1", head("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", "Host: a"), taken},
	{"method that is no token", "3.1", head("G(T / HTTP/1.1", "Host: a"), e400},
	{"method with a colon", "3.1", head("GET: / HTTP/1.1", "Host: a"), e400},
	{"method of obs-text", "3.1", head("G\xc3T / HTTP/1.1", "Host: a"), e400},
	{"method of 64 bytes", "3", head(strings.Repeat("M", 64)+" / HTTP/1.1", "Host: a"), taken},
	{"method of 65 bytes", "3", head(strings.Repeat("M", 65)+" / HTTP/1.1", "Host: a"), e501},
	{"method without end", "3", strings.Repeat("M", 65), e501},

	{"target of RFC 3986's delimiters", "3.2.1", head("GET /a;b=c//../.?q=/?:@!$&'()*+,;=%20 HTTP/1.1", "Host: a"), taken},
	{"target with what browsers leave raw", "3.2.1", head("GET /?{b}|^`\"<>[]\\100%zz HTTP/1.1", "Host: a"), taken},
	{"target with a fragment", "3.2.1", head("GET /a#b HTTP/1.1", "Host: a"), e400},
	{"target of obs-text", "3.2.1", head("GET /\xc3\xa9 HTTP/1.1", "Host: a"), e400},
	{"target with DEL", "3.2.1", head("GET /\x7f HTTP/1.1", "Host: a"), e400},
	{"target with NUL", "3.2.1", head("GET /\x00 HTTP/1.1", "Host: a"), e400},
	{"target that is a relative path", "3.2", head("GET a HTTP/1.1", "Host: a"), e400},
	{"target that is a query", "3.2", head("GET ?a HTTP/1.1", "Host: a"), e400},
	{"target of 16 KiB", "3", head("GET /"+strings.Repeat("a", MaxTarget-1)+" HTTP/1.1", "Host: a"), taken},
	{"target above 16 KiB", "3", head("GET /"+strings.Repeat("a", MaxTarget)+" HTTP/1.1", "Host: a"), e414},
	{"target of 100 KiB", "3", head("GET /"+strings.Repeat("a", 100<<10)+" HTTP/1.1", "Host: a"), e414},
	{"target without end", "3", "GET /" + strings.Repeat("a", MaxTarget+10), e414},
	{"absolute-form", "3.2.2", head("GET http://a/b?c HTTP/1.1", "Host: a"), taken},
	{"absolute-form, other case and dot", "3.2.2", head("GET HTTP://A./b HTTP/1.1", "Host: a"), taken},
	{"absolute-form, default port", "3.2.2", head("GET http://a:80/ HTTP/1.1", "Host: a"), taken},
	{"absolute-form, default port of https", "3.2.2", head("GET https://a/ HTTP/1.1", "Host: a:443"), taken},
	{"absolute-form, empty path", "3.2.2", head("GET http://a HTTP/1.1", "Host: a"), taken},
	{"absolute-form, empty path and query", "3.2.2", head("GET http://a?b HTTP/1.1", "Host: a"), taken},
	{"absolute-form of IPv6", "3.2.2", head("GET http://[::1]:8/ HTTP/1.1", "Host: [0::1]:8"), taken},
	{"absolute-form with another Host", "3.2.2", head("GET http://b/ HTTP/1.1", "Host: a"), e400},
	{"absolute-form with another port", "3.2.2", head("GET http://a:81/ HTTP/1.1", "Host: a"), e400},
	{"absolute-form, port of the other scheme", "3.2.2", head("GET https://a/ HTTP/1.1", "Host: a:80"), e400},
	{"absolute-form without Host", "3.2.2", head("GET http://a/ HTTP/1.1"), e400},
	{"absolute-form with userinfo", "RFC 9110 4.2.4", head("GET http://u@a/ HTTP/1.1", "Host: a"), e400},
	{"absolute-form without authority", "RFC 9110 4.2.1", head("GET http:///b HTTP/1.1", "Host: a"), e400},
	{"absolute-form of another scheme", "3.2.2", head("GET ftp://a/ HTTP/1.1", "Host: a"), e400},
	{"absolute-form with a backslash", "3.2.2", head("GET http://a\\b/ HTTP/1.1", "Host: a"), e400},
	{"authority-form with CONNECT", "3.2.3", head("CONNECT a:443 HTTP/1.1", "Host: a:443"), e501},
	{"CONNECT of a path", "3.2.3", head("CONNECT / HTTP/1.1", "Host: a"), e501},
	{"authority-form without CONNECT", "3.2.3", head("GET a:443 HTTP/1.1", "Host: a:443"), e400},
	{"asterisk-form", "3.2.4", head("OPTIONS * HTTP/1.1", "Host: a"), taken},
	{"asterisk-form in absolute-form", "3.2.4", head("OPTIONS http://a HTTP/1.1", "Host: a"), taken},
	{"asterisk-form without OPTIONS", "3.2.4", head("GET * HTTP/1.1", "Host: a"), e400},
	{"asterisk and more", "3.2.4", head("OPTIONS *x HTTP/1.1", "Host: a"), e400},

	{"no Host", "3.2", head("GET / HTTP/1.1"), e400},
	{"no Host in HTTP/1.0", "3.2", head("GET / HTTP/1.0"), e400},
	{"two Hosts", "3.2", get("Host: b"), e400},
	{"two equal Hosts", "3.2", get("host: a"), e400},
	{"empty Host", "3.2", head("GET / HTTP/1.1", "Host:"), e400},
	{"empty Host, then one", "3.2", head("GET / HTTP/1.1", "Host:", "Host: a"), e400},
	{"Host with a path", "3.2", head("GET / HTTP/1.1", "Host: a/b"), e400},
	{"Host with userinfo", "3.2", head("GET / HTTP/1.1", "Host: u@a"), e400},
	{"Host with a list", "3.2", head("GET / HTTP/1.1", "Host: a, b"), e400},

	{"value without white space", "5", get("X:y"), taken},
	{"value in white space", "5", get("X: \t y \t"), taken},
	{"empty value", "5", get("X:"), taken},
	{"value of obs-text", "RFC 9110 5.5", get("X: \xc3\xa9"), taken},
	{"value with a tab", "RFC 9110 5.5", get("X: a\tb"), taken},
	{"value with NUL", "RFC 9110 5.5", get("X: a\x00b"), e400},
	{"value with a control", "RFC 9110 5.5", get("X: a\x1bb"), e400},
	{"value with DEL", "RFC 9110 5.5", get("X: 12345678\x7f"), e400},
	{"no colon", "5", get("X"), e400},
	{"empty name", "5.1", get(": y"), e400},
	{"space before the colon", "5.1", get("X : y"), e400},
	{"tab before the colon", "5.1", get("X\t: y"), e400},
	{"space in a name", "5.1", get("X Y: z"), e400},
	{"name of every tchar", "5.1", get("!#$%&'*+-.^_`|~09azAZ: y"), taken},
	{"name that is no token", "5.1", get("X(: y"), e400},
	{"name of obs-text", "5.1", get("\xc3: y"), e400},
	{"NUL in a name", "5.1", get("X\x00: y"), e400},
	{"obs-fold", "5.2", get("X: y", " z"), e400},
	{"obs-fold with a tab", "5.2", get("X: y", "\tz"), e400},
	{"obs-fold that is empty", "5.2", get("X: y", " "), e400},

	{"100 fields", "RFC 6585 5", get(fields(99)...), taken},
	{"101 fields", "RFC 6585 5", get(fields(100)...), e431},
	{"head of 32 KiB", "RFC 6585 5", get("X: " + strings.Repeat("y", MaxHead-len(get("X: ")))), taken},
	{"head above 32 KiB", "RFC 6585 5", get("X: " + strings.Repeat("y", MaxHead-len(get("X: "))+1)), e431},
	{"head without end", "RFC 6585 5", "GET / HTTP/1.1\r\nX: " + strings.Repeat("y", MaxHead), e431},

	{"chunked", "6.1", post("Transfer-Encoding: chunked"), taken},
	{"chunked in other case", "6.1", post("tRANSFER-eNCODING:\tCHUNKED"), taken},
	{"space before the colon (TE.TE)", "5.1", post("Transfer-Encoding : chunked"), e400},
	{"TE beside CL (TE.CL)", "6.3", post("Transfer-Encoding: chunked", "Content-Length: 4"), e400},
	{"CL beside TE (CL.TE)", "6.3", post("Content-Length: 4", "Transfer-Encoding: chunked"), e400},
	{"CL of 0 beside TE (CL.0)", "6.3", post("Content-Length: 0", "Transfer-Encoding: chunked"), e400},
	{"CL beside an unknown coding", "6.3", post("Content-Length: 4", "Transfer-Encoding: gzip"), e400},
	{"TE in HTTP/1.0", "6.1", head("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"), e400},
	{"xchunked (TE.TE)", "6.1", post("Transfer-Encoding: xchunked"), e501},
	{"chunked twice in fields (TE.TE)", "6.1", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), e400},
	{"chunked, then identity (TE.TE)", "6.1", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), e400},
	{"identity, then chunked (TE.TE)", "6.1", post("Transfer-Encoding: identity", "Transfer-Encoding: chunked"), e501},
	{"chunked twice in a list", "7.1", post("Transfer-Encoding: chunked, chunked"), e400},
	{"chunked not last", "6.1", post("Transfer-Encoding: chunked, gzip"), e400},
	{"gzip, chunked", "6.1", post("Transfer-Encoding: gzip, chunked"), e501},
	{"gzip", "6.1", post("Transfer-Encoding: gzip"), e501},
	{"identity", "6.1", post("Transfer-Encoding: identity"), e501},
	{"empty TE", "6.1", post("Transfer-Encoding:"), e400},
	{"chunked with an empty element", "RFC 9110 5.6.1", post("Transfer-Encoding: chunked,"), e400},
	{"empty element, then chunked", "RFC 9110 5.6.1", post("Transfer-Encoding: ,chunked"), e400},
	{"chunked with a parameter", "7.1", post("Transfer-Encoding: chunked;q=1"), e400},
	{"chunked in quotes (TE.TE)", "6.1", post("Transfer-Encoding: \"chunked\""), e400},
	{"chunked behind a vertical tab (TE.TE)", "6.1", post("Transfer-Encoding: \vchunked"), e400},
	{"chunked before a form feed (TE.TE)", "6.1", post("Transfer-Encoding: chunked\f"), e400},
	{"chunked with NUL (TE.TE)", "6.1", post("Transfer-Encoding: chunked\x00"), e400},
	{"chunked behind a bare LF (TE.TE)", "2.2", "POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", e400},
	{"chunked folded (TE.TE)", "5.2", post("Transfer-Encoding:", " chunked"), e400},
	{"field folded from TE (TE.TE)", "5.2", post("X: y", " Transfer-Encoding: chunked"), e400},
	{"space, then TE (TE.TE)", "5.1", post(" Transfer-Encoding: chunked"), e400},
	{"k of another script", "6.1", post("Transfer-Encoding: chun\xe2\x84\xaaed"), e400},
	{"underscore look-alike of TE", "5.1", post("Transfer_Encoding: chunked"), e400},
	{"underscore look-alike of CL", "5.1", post("CONTENT_LENGTH: 4"), e400},
	{"name that goes on behind TE", "5.1", post("Transfer-Encoding-X: chunked"), taken},

	{"length", "6.2", post("Content-Length: 4"), taken},
	{"length of 0", "6.2", post("Content-Length: 0"), taken},
	{"length with leading zeros", "RFC 9110 8.6", post("Content-Length: 0004"), taken},
	{"length with GET", "RFC 9110 9.3.1", get("Content-Length: 4"), taken},
	{"length of 2^62", "6.2", post("Content-Length: 4611686018427387904"), taken},
	{"length above 2^62", "6.2", post("Content-Length: 4611686018427387905"), e400},
	{"length of 2^64", "6.2", post("Content-Length: 18446744073709551616"), e400},
	{"two equal lengths", "6.3", post("Content-Length: 4", "Content-Length: 4"), e400},
	{"two lengths (CL.CL)", "6.3", post("Content-Length: 4", "Content-Length: 5"), e400},
	{"equal lengths in a list", "6.3", post("Content-Length: 5, 5"), e400},
	{"lengths in a list", "6.3", post("Content-Length: 5, 6"), e400},
	{"empty length", "6.2", post("Content-Length:"), e400},
	{"length with plus", "6.2", post("Content-Length: +4"), e400},
	{"length with minus", "6.2", post("Content-Length: -4"), e400},
	{"length in hex", "6.2", post("Content-Length: 0x4"), e400},
	{"length with underscore", "6.2", post("Content-Length: 1_0"), e400},
	{"length with a space inside", "6.2", post("Content-Length: 4 4"), e400},
	{"length with a fraction", "6.2", post("Content-Length: 4.0"), e400},
	{"length of another script", "6.2", post("Content-Length: \xd9\xa4"), e400},
	{"space before the colon of CL", "5.1", post("Content-Length : 4"), e400},

	{"options", "RFC 9110 7.6.1", get("Connection: close, TE ,, X-Hop"), taken},
	{"option that is no token", "RFC 9110 7.6.1", get("Connection: a b"), e400},
	{"option Host", "RFC 9110 7.6.1", get("Connection: host"), e400},
	{"option Content-Length", "RFC 9110 7.6.1", post("Content-Length: 1", "Connection: close, Content-Length"), e400},
	{"option Transfer-Encoding", "RFC 9110 7.6.1", post("Transfer-Encoding: chunked", "Connection: transfer-encoding"), e400},
	{"option X-Forwarded-For", "RFC 9110 7.6.1", get("Connection: X-Forwarded-For"), taken},
	{"option Cookie", "RFC 9110 7.6.1", get("Connection: cookie"), e400},
	{"32 options", "RFC 9110 7.6.1", get("Connection: " + strings.Repeat("a,", 31) + "a"), taken},
	{"33 options", "RFC 9110 7.6.1", get("Connection: " + strings.Repeat("a,", 32) + "a"), e400},
	{"upgrade", "RFC 9110 7.8", get("Connection: upgrade", "Upgrade: websocket, TLS/1.0"), taken},
	{"upgrade to no protocol", "RFC 9110 7.8", get("Connection: upgrade", "Upgrade: a b"), e400},
	{"upgrade to half a protocol", "RFC 9110 7.8", get("Connection: upgrade", "Upgrade: a/"), e400},
	{"other expectation", "RFC 9110 10.1.1", post("Content-Length: 1", "Expect: 200-ok"), taken},
	{"trailer announced", "RFC 9110 6.6.2", post("Transfer-Encoding: chunked", "Trailer: X-Sum"), taken},
	{"framing announced as trailer", "RFC 9110 6.5.1", post("Transfer-Encoding: chunked", "Trailer: Content-Length"), e400},
}

func fields(n int) []string {
	f := make([]string, n)
	for i := range f {
		f[i] = "X: y"
	}
	return f
}
