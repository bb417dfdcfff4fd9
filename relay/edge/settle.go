package edge

import (
	"context"
	"log/slog"
	"time"

	"share/relay/access"
	"share/relay/meter"
	"share/tunnel"
)

// lineLevel is the level of a request's line.
const lineLevel = slog.LevelInfo

// logs reports whether requests get a line.
func (e *Edge) logs() bool {
	return e.Logger != nil && e.Logger.Enabled(context.Background(), lineLevel)
}

// begin is when a request begins that has just been read; zero if nobody will
// ask.
func (e *Edge) begin() time.Time {
	if e.Meter == nil && e.Access == nil && !e.Timing && !e.logs() {
		return time.Time{}
	}
	return time.Now()
}

// arrived notes that the head of the answer is there.
func (r *request) arrived() {
	if !r.start.IsZero() {
		r.head = time.Since(r.start)
	}
}

// A version is one of HTTP that is told apart here.
type version uint8

const (
	versionNone version = iota // it was not made out
	version10
	version11
	version2
)

func (v version) String() string {
	return [...]string{versionNone: "", version10: "HTTP/1.0", version11: "HTTP/1.1", version2: "HTTP/2.0"}[v]
}

// settle is where every exchange ends, of either engine, once its answer is
// sent or cut, and every request that was no more than a bad head. What outlives
// it copies what it needs of the request. Probes leave no trace: nobody asked
// for them.
func (e *Edge) settle(r *request, p *peer, out outcome) {
	if out.probe || r.start.IsZero() {
		return
	}
	x := meter.Exchange{
		Status:   out.status,
		Cause:    out.reason(),
		Cut:      out.failure != nil && out.failure.AfterHead,
		Received: r.upload.came,
		Sent:     out.bytes,
		Head:     r.head,
		Whole:    time.Since(r.start),
	}
	if x.Head == 0 {
		x.Head = x.Whole
	}
	e.Meter.Settle(&x)
	if e.Access != nil {
		e.write(r, p, &out, &x)
	}
	if e.logs() {
		e.log(r, p, &out, x.Whole)
	}
}

// reason is why an exchange failed, whoever says so.
func (out *outcome) reason() tunnel.Cause {
	switch {
	case out.failure != nil:
		return out.failure.Cause
	case out.cause == "":
		return tunnel.CauseNone
	}
	if c, ok := tunnel.CauseNamed([]byte(out.cause)); ok {
		return c
	}
	return meter.Other
}

// words are the cause and the party of a failure, as answers show them.
func (out *outcome) words() (cause, by string) {
	if f := out.failure; f != nil {
		return f.Cause.String(), f.By.String()
	}
	if out.cause != "" {
		return out.cause, tunnel.Agent.String()
	}
	return "", ""
}

// tunnelName is the tunnel's that a request led to, empty if it led to none.
func (r *request) tunnelName() string {
	if r.place.Tunnel == nil {
		return ""
	}
	return r.place.Tunnel.Name
}

// write gives an exchange to the access log.
func (e *Edge) write(r *request, p *peer, out *outcome, x *meter.Exchange) {
	cause, by := out.words()
	rec := access.Record{
		Time:     r.start,
		ID:       r.ID,
		Visitor:  p.visitor(r.Header),
		Tunnel:   r.tunnelName(),
		Host:     r.Authority,
		Method:   r.Method,
		Path:     r.Target,
		Protocol: r.version.String(),
		Status:   x.Status,
		Received: x.Received,
		Sent:     x.Sent,
		Head:     x.Head,
		Whole:    x.Whole,
		Cause:    cause,
		By:       by,
		Cut:      x.Cut,
		Referer:  r.Header.Get("referer"),
		Agent:    r.Header.Get("user-agent"),
	}
	e.Access.Write(&rec)
}

// log writes a request's line.
func (e *Edge) log(r *request, p *peer, out *outcome, took time.Duration) {
	cause, by := out.words()
	detail := ""
	if out.failure != nil {
		detail = out.failure.Detail
	}
	e.Logger.LogAttrs(context.Background(), lineLevel, "request",
		slog.String("id", string(r.ID)),
		slog.String("name", r.tunnelName()),
		slog.String("method", string(r.Method)),
		slog.String("target", string(r.Target)),
		slog.Int("status", out.status),
		slog.String("cause", cause),
		slog.String("by", by),
		slog.String("detail", detail),
		slog.Int64("bytes", out.bytes),
		slog.String("client", p.addr),
		slog.Float64("ms", float64(took.Microseconds())/1000),
	)
}
