package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
)

// http2Server returns the server of HTTP/2, net/http's, with the bounds of
// HTTP/1.1.
func (e *Edge) http2Server() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:        http.HandlerFunc(e.serveHTTP2),
		Protocols:      protocols,
		MaxHeaderBytes: http1.MaxHead,
		IdleTimeout:    idleTimeout,
		ErrorLog:       log.New(io.Discard, "", 0), // what visitors do wrong
		// ALPN has chosen; the server asks the configuration all the same.
		TLSConfig: &tls.Config{NextProtos: []string{"h2"}},
	}
}

// A stream is one exchange of an HTTP/2 connection.
type stream struct {
	edge *Edge
	w    http.ResponseWriter
	ctl  *http.ResponseController
	r    *http.Request
	peer peer

	request request
	buf     *[]byte          // what body returns; nil before
	isGone  bool             // some of the final response was sent
	pending *tunnel.Response // a head that is not sent
	aborted bool

	mu        sync.Mutex
	stopWatch func() bool // guarded by mu
}

func (e *Edge) serveHTTP2(w http.ResponseWriter, hr *http.Request) {
	s := &stream{edge: e, w: w, r: hr, ctl: http.NewResponseController(w)}
	s.peer = newPeer(addr(hr.RemoteAddr), hr.TLS != nil, e.TrustedProxies)
	r := &s.request
	r.ID, r.start = e.ids.append(nil), time.Now()
	defer s.free()
	name, port, f := s.check()
	if f != nil {
		e.log(r, &s.peer, e.refuse(s, r, f))
	} else {
		s.describe(r, name, port)
		e.log(r, &s.peer, e.dispatch(hr.Context(), s, r, name))
	}
	if s.aborted {
		// It resets the stream (RFC 9113 5.4.2), as nothing else does.
		panic(http.ErrAbortHandler)
	}
}

// addr is the text of an address.
type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

// check holds a request to the bounds of HTTP/1.1; net/http has held it to RFC
// 9113.
func (s *stream) check() (name []byte, port int, f *tunnel.Failure) {
	n := 0
	for _, values := range s.r.Header {
		n += len(values)
	}
	if n > http1.MaxFields {
		return nil, 0, tunnel.Fail(tunnel.RequestHeadTooLarge, nil)
	}
	if len(s.r.RequestURI) > http1.MaxTarget {
		return nil, 0, tunnel.Fail(tunnel.RequestTargetTooLong, nil)
	}
	if s.r.Method == http.MethodConnect || len(s.r.Method) > http1.MaxMethod {
		return nil, 0, tunnel.Fail(tunnel.RequestNotImplemented, nil)
	}
	if err := s.consistent(); err != nil {
		return nil, 0, tunnel.Fail(tunnel.RequestBad, err)
	}
	name, port, err := http1.CanonicalHost([]byte(s.r.Host))
	if err != nil {
		return nil, 0, tunnel.Fail(tunnel.RequestBad, err)
	}
	return name, port, nil
}

// consistent finds what net/http lets pass of a malformed request: a Host
// beside another :authority (RFC 9113 8.3.1) and lengths that differ from each
// other or from the body's (8.1.1).
func (s *stream) consistent() error {
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
	return nil
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
	if strings.EqualFold(hr.Header.Get("Expect"), "100-continue") {
		r.Flags |= tunnel.RequestExpect
		r.waits = r.hasBody()
	}
	r.accept = []byte(strings.Join(hr.Header["Accept"], ","))
	r.covered = s.edge.covers(&s.peer, name)
	var h tunnel.Header
	h.Add("Host", hr.Host)
	// net/http has lost the order of the fields; any will do, but the same
	// each time.
	for _, name := range sortedKeys(hr.Header) {
		if name == "Te" || name == "Host" || name == "Content-Length" {
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

// free gives the buffer back.
func (s *stream) free() {
	if s.buf != nil {
		largeReads.Put(s.buf)
	}
}

// The request's body.

func (s *stream) ready() bool { return false }

func (s *stream) trailers() tunnel.Header {
	var h tunnel.Header
	for _, name := range sortedKeys(s.r.Trailer) {
		for _, v := range s.r.Trailer[name] {
			h.Add(name, v)
		}
	}
	return http1.ForwardTrailers(nil, h)
}

func (s *stream) body() ([]byte, error) {
	if s.buf == nil {
		s.buf = largeReads.Get().(*[]byte)
	}
	n, err := s.r.Body.Read(*s.buf)
	switch {
	case n > 0:
		return (*s.buf)[:n], nil
	case err == io.EOF:
		return nil, io.EOF
	case err == nil:
		err = io.ErrNoProgress
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return nil, errInterrupted
	}
	return nil, tunnel.Fail(tunnel.VisitorGone, err)
}

func (s *stream) interrupt() {
	// A stream that takes no deadline has ended: body returns anyway.
	_ = s.ctl.SetReadDeadline(past)
}

func (s *stream) resume() { _ = s.ctl.SetReadDeadline(time.Time{}) }

func (s *stream) watch(x *tunnel.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopWatch = context.AfterFunc(s.r.Context(), func() {
		x.Abort(tunnel.Fail(tunnel.VisitorGone, context.Cause(s.r.Context())))
	})
}

func (s *stream) unwatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopWatch != nil {
		s.stopWatch()
		s.stopWatch = nil
	}
}

// The answer.

func (s *stream) sent() bool { return s.isGone }

func (s *stream) interim(r *tunnel.Response) error {
	if err := checkFields(r.Header); err != nil {
		return err
	}
	h := s.w.Header()
	clear(h)
	set(h, r.Header)
	s.w.WriteHeader(r.Status)
	clear(h)
	return nil
}

// set adds fields to h under the names that net/http looks for.
func set(h http.Header, fields tunnel.Header) {
	for _, f := range fields {
		name := http.CanonicalHeaderKey(string(f.Name))
		h[name] = append(h[name], string(f.Value))
	}
	// Nothing is invented.
	for _, name := range []string{"Date", "Content-Type"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
}

func (s *stream) head(r *tunnel.Response) error {
	if err := checkResponse(r, s.request.Method); err != nil {
		return err
	}
	s.pending = r
	return nil
}

// begin passes the head to net/http, which buffers it.
func (s *stream) begin() {
	if s.pending == nil {
		return
	}
	r := s.pending
	s.pending, s.isGone = nil, true
	set(s.w.Header(), r.Header)
	s.w.WriteHeader(r.Status)
}

func (s *stream) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.begin()
	_, err := s.w.Write(p)
	return err
}

func (s *stream) flush() error {
	if s.pending == nil && !s.isGone {
		return nil
	}
	s.begin()
	return s.ctl.Flush()
}

func (s *stream) end(trailers tunnel.Header) error {
	s.begin()
	for _, f := range trailers {
		name := http.TrailerPrefix + http.CanonicalHeaderKey(string(f.Name))
		s.w.Header()[name] = append(s.w.Header()[name], string(f.Value))
	}
	return nil
}

func (s *stream) answer(r *tunnel.Response, body []byte) error {
	s.pending, s.isGone = nil, true
	set(s.w.Header(), r.Header)
	s.w.WriteHeader(r.Status)
	_, err := s.w.Write(body)
	return err
}

// abort has serveHTTP2 reset the stream, behind what was sent before.
func (s *stream) abort() {
	s.aborted = true
	if s.isGone && s.ctl.SetWriteDeadline(time.Now().Add(lingerTimeout)) == nil {
		// A visitor who does not take it loses it to the reset.
		_ = s.ctl.Flush()
	}
}

// upgrade is never asked for: RequestUpgrade is HTTP/1.1's.
func (s *stream) upgrade(x *tunnel.Exchange, _ *tunnel.Response) error {
	return gone(x, &tunnel.Failure{Cause: tunnel.Protocol, Detail: "an upgrade that nobody asked for"})
}
