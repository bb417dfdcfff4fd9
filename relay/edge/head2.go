package edge

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"share/tunnel"
	"share/tunnel/http1"
)

// check holds a request of HTTP/2 to the bounds of HTTP/1.1; net/http has held
// it to RFC 9113.
func (s *stream) check() (name []byte, port int, f *tunnel.Failure) {
	fields, size := 0, len(s.r.RequestURI)
	for name, values := range s.r.Header {
		fields += len(values)
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	switch {
	case len(s.r.RequestURI) > http1.MaxTarget:
		return nil, 0, tunnel.Fail(tunnel.RequestTargetTooLong, nil)
	case fields > http1.MaxFields || size > http1.MaxHead:
		return nil, 0, tunnel.Fail(tunnel.RequestHeadTooLarge, nil)
	case s.r.Method == http.MethodConnect || len(s.r.Method) > http1.MaxMethod:
		return nil, 0, tunnel.Fail(tunnel.RequestNotImplemented, nil)
	}
	err := s.consistent()
	if err == nil {
		name, port, err = http1.CanonicalHost([]byte(s.r.Host))
	}
	if err != nil {
		return nil, 0, tunnel.Fail(tunnel.RequestBad, err)
	}
	return name, port, nil
}

// consistent finds what net/http lets pass of a malformed request: a method or
// a path that would not stay one word of an HTTP/1.1 request line
// (RFC 9113 10.3), a Host beside another :authority (8.3.1), lengths that
// differ from each other or from the body's (8.1.1), and the names that pass
// for those of framing fields.
func (s *stream) consistent() error {
	if !http1.ValidName([]byte(s.r.Method)) {
		return errors.New("malformed :method")
	}
	if !validPath(s.r.Method, s.r.RequestURI) {
		return errors.New("malformed :path")
	}
	for _, host := range s.r.Header["Host"] {
		if !strings.EqualFold(host, s.r.Host) {
			return errors.New("host differs from :authority")
		}
	}
	for _, v := range s.r.Header["Content-Length"] {
		n, err := strconv.ParseUint(v, 10, 62)
		if err != nil || int64(n) != s.r.ContentLength {
			return errors.New("content-length differs")
		}
	}
	for name := range s.r.Header {
		b := []byte(name)
		if strings.Contains(name, "_") && (http1.LooksLike(b, "content-length") || http1.LooksLike(b, "transfer-encoding")) {
			return errors.New("field name that passes for a framing field")
		}
	}
	return nil
}

// validPath reports whether a path is in origin-form, or "*" with OPTIONS, as
// it is asked of HTTP/1.1.
func validPath(method, path string) bool {
	for i := range len(path) {
		if path[i] <= ' ' || path[i] >= 0x7f || path[i] == '#' {
			return false
		}
	}
	return strings.HasPrefix(path, "/") || path == "*" && method == http.MethodOptions
}

// describe fills in what the tunnel is told of the request.
func (s *stream) describe(r *request, name []byte, port int) {
	hr := s.r
	r.Method, r.Target, r.Authority = []byte(hr.Method), []byte(hr.RequestURI), []byte(hr.Host)
	r.Client = []byte(hr.RemoteAddr)
	r.ContentLength = hr.ContentLength
	r.Flags = tunnel.RequestHTTP2
	if s.peer.https {
		r.Flags |= tunnel.RequestHTTPS
	}
	if hr.Body != nil && hr.Body != http.NoBody && hr.ContentLength != 0 {
		r.Flags |= tunnel.RequestBody
	} else if replayable(r.Method) {
		r.Flags |= tunnel.RequestReplayable
	}
	if strings.EqualFold(hr.Header.Get("Te"), "trailers") {
		r.Flags |= tunnel.RequestTrailers
	}
	r.accept = []byte(strings.Join(hr.Header["Accept"], ","))
	r.covered = s.edge.covers(&s.peer, name)
	var h tunnel.Header
	h.Add("Host", hr.Host)
	// net/http has lost the order of the fields; any will do, but the same
	// each time. It has answered an Expect by itself: it grants a body when
	// the first bytes of it are asked for.
	var none http1.Request
	for _, name := range sortedKeys(hr.Header) {
		if name == "Host" || name == "Content-Length" || none.Ends([]byte(name)) {
			continue
		}
		values := hr.Header[name]
		if name == "Cookie" {
			values = []string{strings.Join(values, "; ")} // RFC 9113 8.2.3
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if hr.ContentLength >= 0 && r.hasBody() || hr.Header["Content-Length"] != nil {
		h.Add("Content-Length", strconv.FormatInt(hr.ContentLength, 10))
	}
	for _, name := range sortedKeys(hr.Trailer) {
		h.Add("Trailer", name) // net/http has taken it away
	}
	r.Header = s.peer.add(s.peer.strip(h), s.peer.fields(r.Authority, port))
}

func sortedKeys(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
