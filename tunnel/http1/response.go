package http1

import (
	"bytes"

	"share/tunnel"
)

// A Response is a response's head. Its slices alias the bytes that were parsed;
// they hold until the next Parse or until those bytes change. The zero value is
// ready for Parse.
type Response struct {
	Status int    // 100 to 599
	Reason []byte // as received, may be empty
	Minor  int    // 1 for HTTP/1.1, 0 for HTTP/1.0

	// Fields are all fields in order, cleaned: no obs-fold, no white space
	// before a colon, Content-Length at most once and without a list.
	Fields tunnel.Header

	// One of these holds: the body is chunked, ends with the connection, or
	// is ContentLength bytes long.
	Chunked        bool
	CloseDelimited bool
	ContentLength  int64 // bytes that follow: 0 for 1xx, 204, 304 and HEAD; -1 if chunked or delimited by the close

	Close   bool   // the connection ends after this response (RFC 9112 9.3)
	Upgrade []byte // what a 101 switched to, nil if it does not say or for another status

	options options
	length  bool // there is a Content-Length
}

// Interim reports whether another response follows this one (RFC 9110 15.2).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// Parse reads a whole head, as ResponseHead delimits it, of the response to a
// request of the given method. It keeps nothing of an earlier one and cleans
// head in place. The error, if any, is a *tunnel.Failure of cause
// TargetBadResponse or TargetHeadTooLarge; r is then of no use but to be parsed
// into again.
func (r *Response) Parse(head, method []byte) error {
	r.options.reset()
	*r = Response{Fields: r.Fields[:0], options: r.options}
	line, rest, ok := cutLineLenient(head)
	if !ok {
		return badResponse("head without an end")
	}
	if err := r.parseLine(line); err != nil {
		return err
	}
	if err := r.parseFields(rest); err != nil {
		return err
	}
	r.Close = r.options.closes(r.Minor)
	if r.Chunked {
		r.options.keep() // for the trailers
	}
	return r.frame(method)
}

// cutLineLenient cuts the first line, which may end in a bare LF
// (RFC 9112 2.2), from b.
func cutLineLenient(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, b, false
	}
	if i > 0 && b[i-1] == '\r' {
		return b[:i-1], b[i+1:], true
	}
	return b[:i], b[i+1:], true
}

// parseLine reads the status line (RFC 9112 4). The SP before an empty
// reason-phrase may be missing.
func (r *Response) parseLine(line []byte) error {
	const code = len("HTTP/1.1 ")
	if len(line) < code+3 || line[code-1] != ' ' {
		return badResponse("malformed status line")
	}
	major, minor, ok := parseVersion(line[:code-1])
	if !ok || major != 1 {
		return badResponse("the answer is not HTTP/1")
	}
	for _, c := range line[code : code+3] {
		if c < '0' || c > '9' {
			return badResponse("malformed status code")
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return badResponse("status code outside 100 to 599")
	}
	if line = line[code+3:]; len(line) > 0 && line[0] != ' ' {
		return badResponse("malformed status code")
	}
	if len(line) > 0 {
		r.Reason = line[1:]
	}
	if !isText(r.Reason) {
		return badResponse("control byte in the reason phrase")
	}
	r.Minor = minor
	return nil
}

// parseFields reads and cleans the field lines.
func (r *Response) parseFields(rest []byte) error {
	for {
		line, after, ok := cutLineLenient(rest)
		if !ok {
			return badResponse("head without an end")
		}
		if len(line) == 0 {
			if len(after) > 0 {
				return badResponse("bytes behind a head")
			}
			return nil
		}
		if bytes.IndexByte(line, ':') < 0 {
			return badResponse("field line without a colon")
		}
		line, rest = unfold(rest, line, after)
		f, wrong := parseField(closeColon(line))
		if wrong != "" {
			return badResponse(wrong)
		}
		if len(r.Fields) == MaxResponseFields {
			return responseError(tunnel.TargetHeadTooLarge, "more than 1000 fields")
		}
		if k := lookup(f.Name); k == fieldOther {
			r.Fields = append(r.Fields, f)
		} else if err := r.act(k, f); err != nil {
			return err
		}
	}
}

// act applies a known field to r and keeps it in Fields, unless it repeats one.
func (r *Response) act(k known, f tunnel.Field) error {
	switch k {
	case fieldContentLength:
		return r.addLength(f)
	case fieldTransferEncoding:
		if r.Chunked || !tunnel.EqualFold(f.Value, "chunked") {
			return badResponse("transfer coding other than chunked")
		}
		r.Chunked = true
	case fieldConnection:
		// What is malformed frames nothing: it only goes no further.
		if r.options.parse(f.Value) == tooManyOptions {
			return badResponse(tooManyOptions)
		}
	case fieldUpgrade:
		if r.Status == 101 && r.Upgrade == nil {
			r.Upgrade = f.Value
		}
	}
	r.Fields = append(r.Fields, f)
	return nil
}
