package target

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

// interim is a 1xx response on its way from the connection's reader, which must
// not wait, to the exchange's goroutine.
type interim struct {
	status int
	header http.Header
}

// result is what a round trip gave.
type result struct {
	resp *http.Response
	err  error
}

// serve is Target.Serve.
func (h *h2Target) serve(x *tunnel.Exchange) (int, *tunnel.Failure) {
	// The exchange has no context: its end arrives at OnAbort.
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	x.OnAbort(func(f *tunnel.Failure) { cancel(f) })
	f := &h2Flight{h2Target: h, x: x, cancel: cancel, interims: make(chan interim, maxInterim)}
	if x.Request().ContentLength != 0 {
		f.body = newH2Body(x)
		defer f.body.end()
	}
	h.enter(f)
	defer h.leave(f)
	failure := f.run(ctx)
	cancel(nil) // ends the stream, and with it all use of the body
	if failure == nil {
		return f.status, nil
	}
	if err := x.Err(); err != nil {
		return f.status, tunnel.AsFailure(err)
	}
	if x.HeadSent() {
		failure.AfterHead = true
		x.Abort(failure)
		return f.status, failure
	}
	if err := h.t.answer(x, failure, f.body != nil && !f.body.whole()); err != nil {
		return f.status, tunnel.AsFailure(err)
	}
	return failure.Cause.Status(), failure
}

// An h2Flight carries one exchange.
type h2Flight struct {
	*h2Target
	x        *tunnel.Exchange
	body     *h2Body // nil if the request has none
	cancel   context.CancelCauseFunc
	interims chan interim
	asked    time.Time // when the request came, if the relay asks how long it takes
	status   int
	search   search   // in the answer
	value    [80]byte // room for a field that it looks at

	mu       sync.Mutex
	conn     net.Conn // guarded by mu; what the request went out on last, nil if it waits for one
	wrote    bool     // guarded by mu; its head was written
	tries    int      // guarded by mu; how many connections it was given
	informed int      // guarded by mu; the 1xx responses that came
}

// run carries the exchange. Its failure has not been passed on.
func (f *h2Flight) run(ctx context.Context) *tunnel.Failure {
	resp, failure := f.ask(ctx)
	for failure != nil && ctx.Err() == nil {
		resp, failure = f.ask(ctx)
	}
	if failure != nil {
		return failure
	}
	defer resp.Body.Close()
	f.t.health.alive()
	f.look(resp)
	return f.respond(ctx, resp)
}

// mayRepeat is as a flight's, but for connections that had been idle: net/http
// sees to those.
func (f *h2Flight) mayRepeat(failure *tunnel.Failure) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return failure.Cause == tunnel.TargetClosed && f.t.cfg.Hold > 0 && f.tries < maxTries && f.informed == 0 &&
		ended(f.conn) && repeatable(f.x.Request())
}

// ask sends the request and waits for the response's head. ctx ends with a
// failure after which the request is not to be sent again.
func (f *h2Flight) ask(ctx context.Context) (*http.Response, *tunnel.Failure) {
	f.mu.Lock()
	f.conn = nil
	f.mu.Unlock()
	req, failure := f.request(ctx)
	if failure != nil {
		f.cancel(failure)
		return nil, failure
	}
	results := make(chan result, 1)
	var trip sync.WaitGroup
	defer trip.Wait()
	trip.Go(func() {
		resp, err := f.transport.RoundTrip(req)
		results <- result{resp, err}
	})
	resp, failure := f.await(ctx, results)
	if failure != nil && !f.mayRepeat(failure) {
		f.cancel(failure)
	}
	return resp, failure
}

// request makes the request that net/http sends.
func (f *h2Flight) request(ctx context.Context) (*http.Request, *tunnel.Failure) {
	r := f.x.Request()
	if !isRequestLine(r) {
		return nil, f.t.fail(tunnel.RequestBad, errLines)
	}
	if r.Header.Has(timingField) {
		f.asked = time.Now()
	}
	host := string(r.Header.Get("Host"))
	if host == "" {
		host = string(r.Authority)
	}
	if own := *f.t.host.Load(); own != "" {
		host = own
	}
	req := &http.Request{
		Method:        string(r.Method),
		URL:           &url.URL{Scheme: f.scheme, Host: f.authority, Opaque: string(r.Target)},
		Host:          host,
		Header:        requestHeader(r),
		ContentLength: r.ContentLength,
	}
	if req.URL.Opaque[0] == '/' && len(req.URL.Opaque) > 1 && req.URL.Opaque[1] == '/' {
		// net/http takes "//x" for an authority, and removes one that is Host.
		req.URL.Opaque = "//" + host + req.URL.Opaque
	}
	if f.body != nil {
		// Without a body net/http would not end a stream that announces trailers.
		f.body.trailer = announced(r.Header)
		req.Body, req.Trailer = f.body, f.body.trailer
		// Asked for when the target has given the stream up.
		req.GetBody = func() (io.ReadCloser, error) { return nil, f.t.fail(tunnel.TargetClosed, errAgain) }
	}
	return req.WithContext(f.trace(ctx, repeatable(r))), nil
}

// trace passes 1xx responses on, and sees that a request which may have arrived
// is not sent again: net/http would, without a body, after a reset stream, and
// without a bound for more than a minute where a target refuses each.
func (f *h2Flight) trace(ctx context.Context, repeatable bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.wrote = true
		},
		GotConn: func(info httptrace.GotConnInfo) {
			f.mu.Lock()
			f.conn = info.Conn
			again := f.wrote && !repeatable || f.tries == maxTries
			f.tries++
			f.mu.Unlock()
			if again {
				f.cancel(f.t.fail(tunnel.TargetClosed, errAgain))
			}
		},
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			f.mu.Lock()
			f.informed++
			informed := f.informed
			f.mu.Unlock()
			if informed > maxInterim {
				f.cancel(f.t.fail(tunnel.TargetBadResponse, errInterim))
				return errInterim
			}
			f.interims <- interim{status, http.Header(header)} // has room for all
			return nil
		},
	})
}

// await waits for the final response, and passes interim ones on.
func (f *h2Flight) await(ctx context.Context, results <-chan result) (*http.Response, *tunnel.Failure) {
	limit := f.t.cfg.headerTimeout()
	began := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case in := <-f.interims:
			if err := f.sendHead(in.status, in.header, 0); err != nil {
				return nil, tunnel.AsFailure(err)
			}
		case r := <-results:
			for len(f.interims) > 0 {
				in := <-f.interims
				if err := f.sendHead(in.status, in.header, 0); err != nil {
					r.err = err
				}
			}
			if r.err != nil {
				return nil, f.failure(ctx, r.err, false)
			}
			return r.resp, nil
		case <-timer.C:
			if f.body != nil {
				began = f.body.taken(began)
			}
			left := limit - time.Since(began)
			if left <= 0 {
				return nil, f.t.fail(tunnel.TargetTimeout, fmt.Errorf("no response head within %v", limit))
			}
			timer.Reset(left)
		}
	}
}

// respond carries the response to the visitor.
func (f *h2Flight) respond(ctx context.Context, resp *http.Response) *tunnel.Failure {
	bodyless := resp.StatusCode == 204 || resp.StatusCode == 304 || resp.Request.Method == http.MethodHead
	length := resp.ContentLength
	if bodyless {
		length = 0
	}
	if err := f.sendHead(resp.StatusCode, withTrailer(resp), length); err != nil {
		return tunnel.AsFailure(err)
	}
	f.status = resp.StatusCode
	buf := nbio.Buffer(nbio.Large)
	defer nbio.Free(buf)
	for !bodyless { // a body would be a lie, but some servers send one
		// A Read may wait, so nothing is held back behind it.
		if err := f.x.Flush(); err != nil {
			return tunnel.AsFailure(err)
		}
		n, err := resp.Body.Read(*buf)
		if f.search.suspicion != suspectNothing {
			f.search.body((*buf)[:n])
		}
		if _, err := f.x.Write((*buf)[:n]); err != nil {
			return tunnel.AsFailure(err)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return f.failure(ctx, err, true)
		}
	}
	f.search.end()
	if f.body != nil && !f.body.whole() {
		if err := f.x.Stop(); err != nil {
			return tunnel.AsFailure(err)
		}
	}
	trailers := trailerFields(resp.Trailer)
	if failure := f.t.checkSize(trailers); failure != nil {
		return failure
	}
	if err := f.x.End(trailers); err != nil {
		return tunnel.AsFailure(err)
	}
	return nil
}

// look has the search begin with the response's head.
func (f *h2Flight) look(resp *http.Response) {
	req := f.x.Request()
	var upgrade []byte // which goes no further
	if req.Flags&tunnel.RequestUpgrade != 0 && f.body == nil {
		upgrade = req.Header.Get("Upgrade")
	}
	f.search.head(f.t, req, upgrade, resp.StatusCode, resp.ContentLength, func(name string) []byte {
		return append(f.value[:0], resp.Header.Get(name)...)
	})
}

// sendHead passes a head on, if it is one that HTTP/1.1 could have.
func (f *h2Flight) sendHead(status int, h http.Header, length int64) error {
	if failure := f.t.checkHead(status, h); failure != nil {
		return failure
	}
	fields := responseFields(h, status)
	if failure := f.t.checkSize(fields); failure != nil {
		return failure
	}
	if status >= 200 {
		fields = appendTiming(fields, f.asked)
	}
	return f.x.SendResponse(&tunnel.Response{
		Status:        status,
		Reason:        []byte(http.StatusText(status)),
		ContentLength: length,
		Header:        fields,
	})
}
