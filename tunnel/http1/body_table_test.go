package http1

import (
	"strings"

	"share/tunnel"
)

const ruined = tunnel.RequestBad

// A chunkRule's want is a request's; in a response each fault is the target's.
var chunkRules = []rule{
	{"empty", "7.1", "0\r\n\r\n", taken},
	{"two chunks", "7.1", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", taken},
	{"hex in both cases", "7.1", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", taken},
	{"leading zeros", "7.1", "0000000000000001\r\n!\r\n000\r\n\r\n", taken},
	{"17 digits", "7.1", "00000000000000001\r\n!\r\n0\r\n\r\n", ruined},
	{"size of 2^62", "7.1", "4000000000000000\r\n", ruined},
	{"size of 2^64", "7.1", "10000000000000000\r\n", ruined},
	{"size with 0x", "7.1", "0x5\r\nhello\r\n0\r\n\r\n", ruined},
	{"size with plus", "7.1", "+5\r\nhello\r\n0\r\n\r\n", ruined},
	{"size with minus", "7.1", "-5\r\nhello\r\n0\r\n\r\n", ruined},
	{"no size", "7.1", "\r\nhello\r\n0\r\n\r\n", ruined},
	{"space before the size", "7.1", " 5\r\nhello\r\n0\r\n\r\n", ruined},
	{"space behind the size", "7.1.1", "5 \r\nhello\r\n0\r\n\r\n", ruined},
	{"no hex", "7.1", "g\r\n", ruined},
	{"size with underscore", "7.1", "1_0\r\n", ruined},
	{"bare LF behind the size", "2.2", "5\nhello\r\n0\r\n\r\n", ruined},
	{"bare CR behind the size", "2.2", "5\rhello\r\n0\r\n\r\n", ruined},
	{"bare LF behind the data", "2.2", "5\r\nhello\n0\r\n\r\n", ruined},
	{"no CRLF behind the data", "7.1", "5\r\nhello0\r\n\r\n", ruined},
	{"data longer than its size", "7.1", "5\r\nhello!\r\n0\r\n\r\n", ruined},
	{"other bytes for CRLF (two-byte terminator)", "7.1", "5\r\nhelloXX0\r\n\r\n", ruined},
	{"other byte for LF behind the data", "7.1", "5\r\nhello\rX0\r\n\r\n", ruined},
	{"other byte for LF at the end", "7.1", "0\r\n\rX", ruined},
	{"bare LF behind the last chunk", "2.2", "0\n\r\n", ruined},
	{"bare LF at the end", "2.2", "0\r\n\n", ruined},
	{"bare CR at the end", "2.2", "0\r\n\r\r\n", ruined},
	{"extension", "7.1.1", "5;a=b\r\nhello\r\n0;c=\"d\"\r\n\r\n", taken},
	{"extension in white space", "7.1.1", "5 \t; a = b\r\nhello\r\n0\r\n\r\n", taken},
	{"extension with a bare LF (TERM.EXT)", "7.1.1", "2;\nxx\r\n0\r\n\r\n", ruined},
	{"extension with a bare CR (EXT.TERM)", "7.1.1", "2;\rxx\r\n0\r\n\r\n", ruined},
	{"extension with a quoted LF", "7.1.1", "2;a=\"\nxx\r\n0\r\n\r\n", ruined},
	{"extension with NUL", "7.1.1", "2;\x00\r\nxx\r\n0\r\n\r\n", ruined},
	{"line of 4 KiB", "7.1.1", "1;" + strings.Repeat("a", MaxChunkLine-3) + "\r\n!\r\n0\r\n\r\n", taken},
	{"line above 4 KiB", "7.1.1", "1;" + strings.Repeat("a", MaxChunkLine-2) + "\r\n!\r\n0\r\n\r\n", ruined},
	{"trailers", "7.1.2", "0\r\nX-Sum: 1\r\nY:\r\n\r\n", taken},
	{"trailer with a bare LF", "2.2", "0\r\nX: y\n\r\n", ruined},
	{"trailer folded", "5.2", "0\r\nX: y\r\n z\r\n\r\n", ruined},
	{"white space before the trailers", "5.2", "0\r\n X: y\r\n\r\n", ruined},
	{"trailer with a space before the colon", "5.1", "0\r\nX : y\r\n\r\n", ruined},
	{"trailer without a colon", "5", "0\r\nX\r\n\r\n", ruined},
	{"request for a trailer", "7.1.2", "0\r\nGET / HTTP/1.1\r\n\r\n", ruined},
	{"100 trailers", "RFC 6585 5", "0\r\n" + strings.Repeat("X: y\r\n", 100) + "\r\n", taken},
	{"101 trailers", "RFC 6585 5", "0\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n", e431},
	{"trailers above 32 KiB", "RFC 6585 5", "0\r\nX: " + strings.Repeat("y", MaxHead) + "\r\n\r\n", e431},
}

// trailerRules differ between requests and responses: the want is a request's,
// a response's trailers are taken and go no further.
var trailerRules = []rule{
	{"Content-Length in the trailers", "RFC 9110 6.5.1", "0\r\nContent-Length: 5\r\n\r\n", ruined},
	{"Transfer-Encoding in the trailers", "RFC 9110 6.5.1", "0\r\nTransfer-Encoding: chunked\r\n\r\n", ruined},
	{"Host in the trailers", "RFC 9110 6.5.1", "0\r\nHost: b\r\n\r\n", ruined},
	{"Connection in the trailers", "RFC 9110 6.5.1", "0\r\nConnection: close\r\n\r\n", ruined},
}

var hostRules = []rule{
	{"name", "RFC 3986 3.2.2", "a.example", taken},
	{"name in capitals, with a port and a dot", "RFC 3986 6.2.2", "A.Example.:8080", taken},
	{"name of unreserved and sub-delims", "RFC 3986 3.2.2", "a-._~!$&'()*+,;=b", taken},
	{"percent-encoded", "RFC 3986 2.1", "%41b", taken},
	{"bad percent-encoding", "RFC 3986 2.1", "%4", e400},
	{"IPv4", "RFC 3986 3.2.2", "127.0.0.1:80", taken},
	{"IPv6", "RFC 3986 3.2.2", "[::1]:80", taken},
	{"IPv6 that holds IPv4", "RFC 3986 3.2.2", "[::ffff:1.2.3.4]", taken},
	{"IPv6 without brackets", "RFC 3986 3.2.2", "::1", e400},
	{"IPv6 without an end", "RFC 3986 3.2.2", "[::1", e400},
	{"IPv6 with a zone", "RFC 6874 2", "[fe80::1%25eth0]", e400},
	{"IPv4 in brackets", "RFC 3986 3.2.2", "[127.0.0.1]", e400},
	{"IPvFuture", "RFC 3986 3.2.2", "[v1.a]", e400},
	{"bytes behind brackets", "RFC 3986 3.2", "[::1]x", e400},
	{"empty port", "RFC 3986 3.2.3", "a:", taken},
	{"port 65535", "RFC 3986 3.2.3", "a:65535", taken},
	{"port 65536", "RFC 3986 3.2.3", "a:65536", e400},
	{"port of six digits", "RFC 3986 3.2.3", "a:000080", e400},
	{"port abc", "RFC 3986 3.2.3", "a:abc", e400},
	{"port with plus", "RFC 3986 3.2.3", "a:+80", e400},
	{"two ports", "RFC 3986 3.2.3", "a:80:80", e400},
	{"empty", "RFC 9110 4.2.1", "", e400},
	{"port alone", "RFC 9110 4.2.1", ":80", e400},
	{"dot alone", "RFC 9110 4.2.1", ".", e400},
	{"two dots at the end", "RFC 1034 3.1", "a..", e400},
	{"userinfo", "RFC 9110 4.2.4", "u:p@a", e400},
	{"path", "RFC 3986 3.2", "a/b", e400},
	{"query", "RFC 3986 3.2", "a?b", e400},
	{"backslash", "RFC 3986 3.2.2", "a\\b", e400},
	{"space", "RFC 3986 3.2.2", "a b", e400},
	{"tab", "RFC 3986 3.2.2", "a\tb", e400},
	{"NUL", "RFC 3986 3.2.2", "a\x00", e400},
	{"CR LF", "RFC 3986 3.2.2", "a\r\nb", e400},
	{"obs-text", "RFC 3986 3.2.2", "\xc3\xa9", e400},
}
