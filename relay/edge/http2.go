package edge

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
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
		Handler:   http.HandlerFunc(e.serveHTTP2),
		Protocols: protocols,
		// OPTIONS * is the target's to answer.
		DisableGeneralOptionsHandler: true,
		// Above the bound that check holds a head to, so that most that pass
		// it are answered by us and not by net/http.
		MaxHeaderBytes:    2 * http1.MaxHead,
		ReadHeaderTimeout: e.headTimeout(), // of the connection's preface
		IdleTimeout:       e.idleTimeout(),
		ErrorLog:          log.New(io.Discard, "", 0), // what visitors do wrong
		// ALPN has chosen; the server asks the configuration all the same.
		TLSConfig: &tls.Config{NextProtos: []string{"h2"}},
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			_, https := nc.(*tls.Conn)
			return context.WithValue(ctx, peerKey{}, newPeer(nc.RemoteAddr(), https, e.TrustedProxies))
		},
	}
}

// peerKey is the key of a connection's peer in the context of its requests,
// the only thing of a connection that net/http hands on.
type peerKey struct{}

// A stream is one exchange of an HTTP/2 connection.
type stream struct {
	edge *Edge
	w    http.ResponseWriter
	ctl  *http.ResponseController
	r    *http.Request
	peer peer

	request request
	pump    *pump            // of the body; nil unless there is one
	isGone  bool             // some of the final response was sent
	pending *tunnel.Response // a head that is not sent
	aborted bool

	unwatchFn func() // set by watch
}

func (e *Edge) serveHTTP2(w http.ResponseWriter, hr *http.Request) {
	if !e.enter() {
		panic(http.ErrAbortHandler)
	}
	defer e.leave()
	s := &stream{edge: e, w: w, r: hr, ctl: http.NewResponseController(w)}
	s.peer, _ = hr.Context().Value(peerKey{}).(peer)
	r := &s.request
	r.ID, r.start = e.ids.append(nil), time.Now()
	defer s.free()
	name, port, f := s.check()
	if f != nil {
		e.log(r, &s.peer, e.refuse(s, r, f))
	} else {
		s.describe(r, name, port)
		if r.hasBody() {
			s.pump = newPump(hr.Body)
		}
		e.log(r, &s.peer, e.dispatch(hr.Context(), s, r, name))
	}
	if s.aborted {
		// It resets the stream (RFC 9113 5.4.2), as nothing else does.
		panic(http.ErrAbortHandler)
	}
}

// enter counts a handler that Close waits for; false once that has begun.
func (e *Edge) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.streams.Add(1)
	e.handling.Add(1)
	return true
}

func (e *Edge) leave() {
	e.handling.Add(-1)
	e.streams.Done()
}

// free ends what reads the body.
func (s *stream) free() {
	if s.pump != nil {
		// A stream that takes no deadline has ended, and so has its body.
		_ = s.ctl.SetReadDeadline(past)
		s.pump.close()
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
	p, err := s.pump.next()
	if err == nil || err == io.EOF || err == errInterrupted {
		return p, err
	}
	return nil, tunnel.Fail(tunnel.VisitorGone, err)
}

func (s *stream) interrupt() { s.pump.interrupt() }
func (s *stream) resume()    { s.pump.resume() }

func (s *stream) watch(x *tunnel.Exchange) {
	done := make(chan struct{})
	stop := context.AfterFunc(s.r.Context(), func() {
		defer close(done)
		x.Abort(tunnel.Fail(tunnel.VisitorGone, context.Cause(s.r.Context())))
	})
	s.unwatchFn = func() {
		if !stop() {
			<-done // x may be another's soon
		}
	}
}

func (s *stream) unwatch() {
	if s.unwatchFn != nil {
		s.unwatchFn()
		s.unwatchFn = nil
	}
}

// The answer.

func (s *stream) sent() bool { return s.isGone }

func (s *stream) interim(r *tunnel.Response) error {
	if err := checkHead(r); err != nil {
		return err
	}
	h := s.w.Header()
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
	for _, name := range []string{"Date", "Content-Type", "Content-Length"} {
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
	h := s.w.Header()
	set(h, r.Header)
	s.w.WriteHeader(r.Status)
	clear(h) // what a Trailer field announces would be sent once more
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
	return gone(x, violation("a switch of protocols that nobody asked for"))
}
