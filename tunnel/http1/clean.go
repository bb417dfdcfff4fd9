package http1

import (
	"bytes"
)

// unfold joins a field line with the lines that continue it (obs-fold,
// RFC 9112 5.2), in place: each line end becomes spaces. b begins with line and
// its end, rest follows them.
func unfold(b, line, rest []byte) (unfolded, after []byte) {
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		next, after, ok := cutLineLenient(rest)
		if !ok {
			break
		}
		start := len(b) - len(rest)
		for i := len(line); i < start; i++ {
			b[i] = ' '
		}
		line, rest = b[:start+len(next)], after
	}
	return line, rest
}

// closeColon removes the white space between a field's name and its colon
// (RFC 9112 5.1), in place: the name moves up to the colon.
func closeColon(line []byte) []byte {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || line[colon-1] != ' ' && line[colon-1] != '\t' {
		return line
	}
	name := trimRight(line[:colon])
	gap := colon - len(name)
	copy(line[gap:colon], name)
	return line[gap:]
}
