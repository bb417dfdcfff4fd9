package http1

import (
	"strconv"

	"share/tunnel"
)

// AppendRequestLine appends the request line of an HTTP/1.1 request
// (RFC 9112 3) to dst.
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(append(dst, method...), ' ')
	return append(append(dst, target...), " HTTP/1.1\r\n"...)
}

// AppendStatusLine appends the status line of an HTTP/1.1 response
// (RFC 9112 4) to dst. status has three digits.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	return append(append(append(dst, ' '), reason...), "\r\n"...)
}

// AppendField appends a field line (RFC 9112 5) to dst. It checks nothing: what
// does not come from this package's parsers must hold to ValidName and
// ValidValue.
func AppendField[T ~string | ~[]byte](dst []byte, name string, value T) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// AppendFields appends the field lines of h to dst, as AppendField does.
func AppendFields(dst []byte, h tunnel.Header) []byte {
	for i := range h {
		dst = append(append(dst, h[i].Name...), ": "...)
		dst = append(append(dst, h[i].Value...), "\r\n"...)
	}
	return dst
}

// AppendChunkHeader appends the line that begins a chunk of size bytes
// (RFC 9112 7.1) to dst. The chunk's data and a CRLF follow. size is above 0: a
// chunk of size 0 is the last one.
func AppendChunkHeader(dst []byte, size int) []byte {
	return append(strconv.AppendUint(dst, uint64(size), 16), "\r\n"...)
}

// AppendChunk appends a chunk that holds data to dst; nothing if data is empty.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = append(AppendChunkHeader(dst, len(data)), data...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body to dst: the last chunk, the
// trailers (RFC 9112 7.1.2) and the empty line. It checks the trailers no more
// than AppendField does.
func AppendLastChunk(dst []byte, trailers tunnel.Header) []byte {
	dst = append(dst, "0\r\n"...)
	return append(AppendFields(dst, trailers), "\r\n"...)
}
