package http1

import (
	"bytes"

	"share/tunnel"
)

var emptyLine = []byte("\r\n\r\n")

// RequestHead returns the length of the request head that begins buf, through
// its empty line and with an empty line before it, or 0 if more bytes are
// needed. from is the length of buf at an earlier call that wanted more, or 0.
//
// It fails as soon as buf cannot become a request: the bytes are no HTTP (TLS,
// HTTP/0.9, garbage), a line has a bare LF or CR, or a bound is passed. A
// caller whose buffer holds MaxHead bytes thus never finds it full with
// neither a length nor an error.
func RequestHead(buf []byte, from int) (n int, err error) {
	if i := bytes.Index(buf[max(0, from-3):], emptyLine); i >= 0 {
		n = max(0, from-3) + i + len(emptyLine)
		if n <= MaxHead {
			return n, nil
		}
	}
	if err := checkStart(buf[:min(len(buf), MaxHead)], from); err != nil {
		return 0, err
	}
	if len(buf) >= MaxHead {
		return 0, requestError(tunnel.RequestHeadTooLarge, "head above 32 KiB")
	}
	return 0, nil
}

// checkStart looks for what no request can begin with. Bytes before from were
// looked at before.
func checkStart(buf []byte, from int) error {
	if err := checkLines(buf, from); err != nil {
		return err
	}
	skip := len(buf) - len(skipEmptyLine(buf))
	line := buf[skip:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		if skip+end < from {
			return nil // the line was whole before
		}
		var r Request
		return r.parseLine(line[:end-1]) // checkLines saw the CR
	}
	return checkPartialLine(line)
}

// checkLines refuses bytes that stand nowhere in a head.
func checkLines(buf []byte, from int) error {
	for i := max(0, from-1); i < len(buf); i++ {
		switch c := buf[i]; {
		case c == '\r':
			if i+1 < len(buf) && buf[i+1] != '\n' {
				return bad("CR without LF")
			}
		case c == '\n':
			if i == 0 || buf[i-1] != '\r' {
				return bad("line end without CR")
			}
		case class[c]&fvalue == 0:
			if i == 0 && c == 0x16 {
				return bad("TLS where plain HTTP is spoken")
			}
			return bad("control byte in a head")
		}
	}
	return nil
}

// checkPartialLine refuses what cannot become a request line.
func checkPartialLine(line []byte) error {
	sp := 0
	for sp < len(line) && sp <= MaxMethod && class[line[sp]]&tchar != 0 {
		sp++
	}
	switch {
	case sp > MaxMethod:
		return requestError(tunnel.RequestNotImplemented, "method above 64 bytes")
	case sp == len(line) || sp == 0 && line[0] == '\r':
		return nil
	case sp == 0 || line[sp] != ' ':
		return bad("no method where a request begins")
	case len(line)-sp-1 > MaxTarget+len(" HTTP/1.1\r"):
		return requestError(tunnel.RequestTargetTooLong, "target above 16 KiB")
	}
	return nil
}

// BeginsHead reports whether buf begins as a HEAD request does, be that well
// formed or not: its answer has no body (RFC 9110 9.3.2).
func BeginsHead(buf []byte) bool { return bytes.HasPrefix(skipEmptyLine(buf), []byte("HEAD ")) }

// skipEmptyLine removes the one empty line that may stand before a request
// (RFC 9112 2.2).
func skipEmptyLine(head []byte) []byte {
	if len(head) >= 2 && head[0] == '\r' && head[1] == '\n' {
		return head[2:]
	}
	return head
}

// ResponseHead returns the length of the response head that begins buf, through
// its empty line, or 0 if more bytes are needed. from is the length of buf at
// an earlier call that wanted more, or 0.
//
// It fails as soon as buf cannot become a response of HTTP/1, or has passed
// MaxResponseHead: a buffer of that size is never found full with neither a
// length nor an error.
func ResponseHead(buf []byte, from int) (n int, err error) {
	const start = "HTTP/1."
	if k := min(len(buf), len(start)); from < len(start) && string(buf[:k]) != start[:k] {
		return 0, badResponse("the answer does not begin as HTTP/1")
	}
	n = responseEnd(buf, from)
	if n > MaxResponseHead || n == 0 && len(buf) >= MaxResponseHead {
		return 0, responseError(tunnel.TargetHeadTooLarge, "head above 64 KiB")
	}
	if n == 0 {
		if line, rest, ok := cutLineLenient(buf); ok && len(buf)-len(rest) > from {
			var r Response
			return 0, r.parseLine(line)
		}
	}
	return n, nil
}

// responseEnd finds the first empty line in buf[from:]; the line end before it
// may stand in front of from.
func responseEnd(buf []byte, from int) (n int) {
	for i := max(0, from-2); ; i++ {
		j := bytes.IndexByte(buf[i:], '\n')
		if j < 0 {
			break
		}
		i += j
		if i+1 < len(buf) && buf[i+1] == '\n' {
			return i + 2
		}
		if i+2 < len(buf) && buf[i+1] == '\r' && buf[i+2] == '\n' {
			return i + 3
		}
	}
	return 0
}
