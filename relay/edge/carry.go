package edge

import (
	"context"
	"errors"
	"io"
	"time"

	"share/tunnel"
)

// holdBytes is how much of a request's body is kept for a second try.
const holdBytes = 64 << 10

// maxTries bounds how often a request that no agent has processed is sent.
const maxTries = 3

// maxInterim bounds the interim responses to one request. Agents pass fewer
// on.
const maxInterim = 100

// A visitor is whom an exchange is for: a connection of HTTP/1.1 or a stream
// of HTTP/2. One goroutine reads its body while another writes the answer.
type visitor interface {
	// body returns the next bytes of the request's body, valid until the
	// next call; io.EOF when it is whole, any other error if it was cut.
	body() ([]byte, error)
	// ready reports whether the rest of the body can be read without waiting.
	ready() bool
	// trailers are the request's, after io.EOF.
	trailers() tunnel.Header
	// interrupt makes body return, until resume.
	interrupt()
	resume()

	// watch calls x.Abort if the visitor leaves, until unwatch.
	watch(x *tunnel.Exchange)
	unwatch()

	// interim sends a 1xx at once.
	interim(*tunnel.Response) error
	// head queues the final response's head.
	head(*tunnel.Response) error
	// write sends or queues bytes of the body. flush sends what is queued.
	write(p []byte) error
	flush() error
	// end ends the message and sends it.
	end(trailers tunnel.Header) error
	// sent reports whether any of the final response is on its way.
	sent() bool
	// upgrade passes bytes both ways until both directions have ended, and
	// returns how many came and went.
	upgrade(x *tunnel.Exchange, r *tunnel.Response) (received, sent int64, err error)
	// answer sends a complete response in place of a head that was queued.
	answer(r *tunnel.Response, body []byte) error
	// abort makes the message visibly cut.
	abort()
}

// A request is what is known of a visitor's request once its head is read.
type request struct {
	tunnel.Request
	place   Place
	covered bool            // the connection serves the host
	refusal *tunnel.Failure // of the peer
	version version         // of HTTP
	url     string          // for a failure's answer
	start   time.Time       // of begin
	passed  time.Duration   // from start until the link had it; 0 unless Config.Timing
	head    time.Duration   // from start to the answer's head; 0 if that is none of the agent's
	upload  upload
}

// hasBody reports whether a body follows.
func (r *request) hasBody() bool { return r.Flags&tunnel.RequestBody != 0 }

// An outcome is how an exchange went, for the log.
type outcome struct {
	status  int
	cause   string // of a failure that the agent answered
	failure *tunnel.Failure
	bytes   int64
	probe   bool // the agent's own question, which it has answered
}

// carry brings a request to its tunnel and the answer back.
func (e *Edge) carry(ctx context.Context, v visitor, r *request) outcome {
	r.upload = upload{v: v, r: r}
	up := &r.upload
	for try := 1; ; try++ {
		x, number, err := r.place.Tunnel.Open(ctx)
		if err != nil {
			return e.fail(v, r, outcome{failure: tunnel.AsFailure(err)})
		}
		r.Tunnel = number
		out := e.attempt(v, x, r, up)
		f := out.failure
		if f == nil {
			return out
		}
		if !f.NotProcessed || try == maxTries || v.sent() || !up.rewind() {
			return e.fail(v, r, out)
		}
		e.Meter.Retry()
	}
}

// fail answers with out's failure, or cuts the answer that has begun.
func (e *Edge) fail(v visitor, r *request, out outcome) outcome {
	f := out.failure
	if cut := v.sent(); cut != f.AfterHead {
		// What the agent has sent of a head may not have gone further.
		known := *f // f may be that of other exchanges, too
		known.AfterHead = cut
		out.failure, f = &known, &known
	}
	if f.AfterHead {
		v.abort()
		return out
	}
	out.status, out.bytes = f.Cause.Status(), 0
	if out.status == 0 && f.By == tunnel.Agent {
		// Whether the visitor has left is not the agent's to say.
		f = &tunnel.Failure{Cause: tunnel.Protocol, By: tunnel.Agent, Detail: "the agent says " + f.Error()}
		out.status, out.failure = f.Cause.Status(), f
	}
	if f.AfterHead {
		before := *f // the agent has sent a head; the visitor has nothing of it
		before.AfterHead = false
		out.failure = &before
	}
	if out.status == 0 {
		v.abort()
		return out
	}
	resp, body := e.style.Answer(f, tunnel.Asking{Method: r.Method, Accept: r.Header.Join("accept"), ID: string(r.ID), URL: r.url})
	if err := v.answer(resp, body); err != nil {
		v.abort()
		out.status = 0 // nobody was answered
		return out
	}
	out.bytes = int64(len(body))
	return out
}

// refuse answers with a failure of the request itself.
func (e *Edge) refuse(v visitor, r *request, f *tunnel.Failure) outcome {
	return e.fail(v, r, outcome{failure: f})
}

// attempt carries a request over one exchange, which it closes. A failure is
// left to the caller to answer.
func (e *Edge) attempt(v visitor, x *tunnel.Exchange, r *request, up *upload) (out outcome) {
	defer x.Close()
	if err := x.SendRequest(&r.Request); err != nil {
		out.failure = tunnel.AsFailure(err)
		return out
	}
	if err := up.start(x); err != nil {
		out.failure = tunnel.AsFailure(err)
		return out
	}
	defer up.stop(x)
	if e.Timing {
		r.passed = time.Since(r.start)
	}
	v.watch(x)
	defer v.unwatch()
	resp, err := final(v, x)
	if err != nil {
		out.failure = tunnel.AsFailure(err)
		return out
	}
	r.arrived()
	out.status = resp.Status
	if resp.Flags&tunnel.ResponseAgent != 0 {
		out.cause = string(resp.Header.Get("share-error"))
		out.probe = resp.Header.Has(probeField)
	}
	if e.Timing {
		r.tell(resp)
	}
	if resp.Flags&tunnel.ResponseUpgrade != 0 {
		if r.Flags&tunnel.RequestUpgrade == 0 {
			out.failure = gone(x, violation("a switch of protocols that nobody asked for"))
			return out
		}
		v.unwatch()
		r.upload.came, out.bytes, err = v.upgrade(x, resp)
		out.failure = tunnel.AsFailure(err)
		return out
	}
	if r.Flags&tunnel.RequestUpgrade != 0 {
		if err := x.End(nil); err != nil {
			out.failure = tunnel.AsFailure(err)
			return out
		}
	}
	if err := v.head(resp); err != nil {
		out.failure = gone(x, err)
		return out
	}
	out.bytes, out.failure = copyBody(v, x, resp.ContentLength)
	if f := out.failure; f != nil && f.Cause == tunnel.VisitorGone && out.bytes == resp.ContentLength {
		out.failure = nil // the visitor has left with all of it
	}
	return out
}

// final passes interim responses on and returns the final one.
func final(v visitor, x *tunnel.Exchange) (*tunnel.Response, error) {
	for n := 0; ; n++ {
		resp, err := x.ReceiveResponse()
		if err != nil {
			return nil, err
		}
		if !resp.Interim() {
			return resp, nil
		}
		switch {
		case resp.Status == 101:
			err = violation("a switch of protocols that is none")
		case n == maxInterim:
			err = violation("more than %d interim responses", maxInterim)
		default:
			err = v.interim(resp)
		}
		if err != nil {
			return nil, gone(x, err)
		}
	}
}

// copyBody is where the bytes of every answer pass. The last ones of length
// wait for END, which is on its way: with them the visitor has the whole. So
// does the head of an empty one, as gRPC wants it: where there is nothing to
// say, its status counts only in a head that ends the stream.
func copyBody(v visitor, x *tunnel.Exchange, length int64) (n int64, failure *tunnel.Failure) {
	for {
		if n != length && !x.Buffered() {
			if err := v.flush(); err != nil {
				return n, gone(x, err)
			}
		}
		p, err := x.Data()
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, tunnel.AsFailure(err)
		}
		if err := v.write(p); err != nil {
			return n, gone(x, err)
		}
		n += int64(len(p))
	}
	err := checkTrailers(x.Trailers())
	if err == nil {
		err = v.end(x.Trailers())
	}
	if err != nil {
		return n, gone(x, err)
	}
	return n, nil
}

// gone aborts an exchange whose answer cannot be passed on.
func gone(x *tunnel.Exchange, err error) *tunnel.Failure {
	x.Abort(left(err))
	return tunnel.AsFailure(x.Err())
}

// left is why a visitor cannot be sent anything: they have left, unless err says
// otherwise.
func left(err error) *tunnel.Failure {
	f, ok := errors.AsType[*tunnel.Failure](err)
	if !ok {
		f = tunnel.Fail(tunnel.VisitorGone, err)
	}
	return f
}

// An upload is where the bytes of every request pass. It keeps what it has
// read while that is little, for a second try.
type upload struct {
	v     visitor
	r     *request
	held  []byte
	whole bool          // all that was read is held
	came  int64         // bytes that were read
	ended bool          // the body was read to its end
	begun bool          // body was called
	done  chan struct{} // closed when the goroutine has ended; nil if there is none
}

// start sends the body, or begins to.
func (u *upload) start(x *tunnel.Exchange) error {
	switch {
	case u.r.Flags&tunnel.RequestUpgrade != 0:
		return x.Flush()
	case !u.r.hasBody():
		return x.End(nil)
	}
	if !u.begun {
		u.whole = true
	}
	if len(u.held) > 0 {
		if _, err := x.Write(u.held); err != nil {
			return err
		}
	}
	if u.ended {
		return x.End(u.v.trailers())
	}
	if !u.begun && u.v.ready() {
		// The usual body came with its head: no goroutine is needed.
		return u.copy(x)
	}
	if err := x.Flush(); err != nil {
		return err
	}
	u.done = make(chan struct{})
	go func() { // ended by the body's end, a failure of x, or stop
		defer close(u.done)
		// The exchange knows the error as well.
		_ = u.copy(x)
	}()
	return nil
}

// copy reads the body to its end. When the target wants no more of it, the
// rest is thrown away: a visitor who leaves is seen only by reading.
func (u *upload) copy(x *tunnel.Exchange) error {
	u.begun = true
	for stopped := false; ; {
		p, err := u.v.body()
		if err == io.EOF {
			if u.ended = true; stopped {
				return nil
			}
			return x.End(u.v.trailers())
		}
		if err != nil {
			if errors.Is(err, errInterrupted) {
				return err
			}
			f := tunnel.AsFailure(err)
			x.Abort(f)
			return f
		}
		u.came += int64(len(p))
		if u.whole && len(u.held)+len(p) <= holdBytes {
			u.held = append(u.held, p...)
		} else {
			u.whole, u.held = false, nil
		}
		if stopped {
			continue
		}
		_, err = x.Write(p)
		if err == nil && !u.v.ready() {
			err = x.Flush()
		}
		if stopped = errors.Is(err, tunnel.ErrStopped); err != nil && !stopped {
			return err
		}
	}
}

// errInterrupted is what body returns between interrupt and resume.
var errInterrupted = errors.New("interrupted")

// stop waits for the goroutine to end, and makes it.
func (u *upload) stop(x *tunnel.Exchange) {
	if u.done == nil {
		return
	}
	select {
	case <-u.done:
	default:
		u.v.interrupt()
		x.Abort(tunnel.Fail(tunnel.VisitorIncomplete, nil))
		<-u.done
		u.v.resume()
	}
	u.done = nil
}

// rewind reports whether the body can be sent again from its start.
func (u *upload) rewind() bool {
	return !u.r.hasBody() || u.whole || !u.begun
}
