package http1

import (
	"bytes"

	"share/tunnel"
)

// A Request is a request's head. Its slices alias the bytes that were parsed,
// or memory of the Request; they hold until the next Parse or until those bytes
// change. The zero value is ready for Parse.
type Request struct {
	Method []byte
	Target []byte        // as received, save that absolute-form has become origin-form
	Host   []byte        // the field's value as received
	Name   []byte        // Host in canonical form, as CanonicalHost gives it
	Port   int           // Host's port, -1 if it has none
	Minor  int           // 1 for HTTP/1.1, 0 for HTTP/1.0
	Fields tunnel.Header // all of them, in order, as received

	// Body says that the request frames a body, which may be empty. It is
	// chunked, or ContentLength bytes long.
	Body          bool
	Chunked       bool
	ContentLength int64 // -1 if chunked, 0 without a body

	Close    bool   // the connection ends after this exchange (RFC 9112 9.3)
	Expect   bool   // the sender of the body may wait for 100 Continue (RFC 9110 10.1.1)
	Trailers bool   // trailers are welcome: TE: trailers (RFC 9110 10.1.4)
	Upgrade  []byte // the protocols asked for less h2c, nil if none is left (RFC 9110 7.8)

	options  options
	upgrades int    // how many Upgrade fields there are
	buf      []byte // what had to be made anew
}

// usualFields is room for what most programs send.
const usualFields = 8

// Parse reads a whole head, as RequestHead delimits it. It keeps nothing of an
// earlier one. The error, if any, is a *tunnel.Failure of cause RequestBad,
// RequestTargetTooLong, RequestHeadTooLarge, RequestNotImplemented or
// RequestVersion; r is then of no use but to be parsed into again.
func (r *Request) Parse(head []byte) error {
	if r.Fields == nil {
		r.Fields = make(tunnel.Header, 0, usualFields)
	}
	r.options.reset()
	*r = Request{Fields: r.Fields[:0], Port: -1, options: r.options, buf: r.buf[:0]}
	if len(head) > MaxHead {
		return requestError(tunnel.RequestHeadTooLarge, "head above 32 KiB")
	}
	line, rest, ok := cutLine(skipEmptyLine(head))
	if !ok {
		return bad("line end without CR")
	}
	if err := r.parseLine(line); err != nil {
		return err
	}
	if err := r.parseFields(rest); err != nil {
		return err
	}
	return r.finish()
}

// parseLine reads the request line (RFC 9112 3).
func (r *Request) parseLine(line []byte) error {
	sp := bytes.IndexByte(line, ' ')
	if sp < 0 {
		sp = len(line)
	}
	switch {
	case len(line) == 0:
		return bad("empty line where a request begins")
	case !isToken(line[:min(sp, MaxMethod)]):
		return bad("no method where a request begins")
	case sp > MaxMethod:
		return requestError(tunnel.RequestNotImplemented, "method above 64 bytes")
	case sp == len(line):
		return bad("request line without a target")
	}
	r.Method, line = line[:sp:sp], line[sp+1:]
	sp = bytes.LastIndexByte(line, ' ')
	if max(sp, len(line)-len(" HTTP/1.1")) > MaxTarget {
		return requestError(tunnel.RequestTargetTooLong, "target above 16 KiB")
	}
	if sp < 0 {
		return bad("request line without a version")
	}
	major, minor, ok := parseVersion(line[sp+1:])
	switch {
	case !ok:
		return bad("malformed HTTP version")
	case major != 1:
		return requestError(tunnel.RequestVersion, "major version is not 1")
	case string(r.Method) == "CONNECT":
		return requestError(tunnel.RequestNotImplemented, "CONNECT")
	}
	r.Minor, r.Target = minor, line[:sp:sp]
	return checkTarget(r.Method, r.Target)
}

// parseFields reads the field lines (RFC 9112 5) and acts on those that frame
// or route the message.
func (r *Request) parseFields(rest []byte) error {
	for {
		line, after, ok := cutLine(rest)
		if !ok {
			return bad("line end without CR")
		}
		rest = after
		if len(line) == 0 {
			break
		}
		f, wrong := parseField(line)
		if wrong != "" {
			return bad(wrong)
		}
		if len(r.Fields) == MaxFields {
			return requestError(tunnel.RequestHeadTooLarge, "more than 100 fields")
		}
		r.Fields = append(r.Fields, f)
		if k := lookup(f.Name); k != fieldOther {
			if err := r.act(k, f.Value); err != nil {
				return err
			}
		} else if LooksLike(f.Name, "content-length") || LooksLike(f.Name, "transfer-encoding") {
			return bad("field name that passes for a framing field")
		}
	}
	if len(rest) > 0 {
		return bad("bytes behind a head")
	}
	return nil
}

// act applies a field to r. Fields that are known only for ending here need
// nothing done.
func (r *Request) act(k known, value []byte) error {
	switch k {
	case fieldHost:
		if r.Host != nil {
			return bad("more than one Host")
		}
		r.Host = value
	case fieldContentLength:
		return r.setLength(value)
	case fieldTransferEncoding:
		return r.setCoding(value)
	case fieldConnection:
		if wrong := r.options.parse(value); wrong != "" {
			return bad(wrong)
		}
	case fieldExpect:
		r.Expect = r.Expect || tunnel.EqualFold(value, "100-continue")
	case fieldTE:
		r.Trailers = r.Trailers || asksTrailers(value)
	case fieldTrailer:
		return checkTrailer(value)
	case fieldUpgrade:
		r.upgrades++
	}
	return nil
}

// finish draws what depends on more than one field.
func (r *Request) finish() error {
	if r.Host == nil {
		return bad("no Host")
	}
	var ok bool
	if r.Name, r.Port, ok = canonicalHost(&r.buf, r.Host); !ok {
		return bad("malformed Host")
	}
	if r.Chunked && r.Minor == 0 {
		return bad("Transfer-Encoding in HTTP/1.0")
	}
	if err := r.originForm(); err != nil {
		return err
	}
	// RFC 9110 10.1.1 and 7.8: HTTP/1.0 knows neither.
	r.Expect = r.Expect && r.Body && r.Minor > 0
	r.Close = r.options.closes(r.Minor)
	if r.upgrades > 0 && r.options.upgrade && r.Minor > 0 {
		return r.setUpgrade()
	}
	return nil
}
