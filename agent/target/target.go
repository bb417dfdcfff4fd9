// Package target reaches the program that an agent shares: it dials it, keeps
// connections to it, carries exchanges to it, and knows whether it is there.
//
// A target is spoken to as it was named: in HTTP/1.1, over TLS or not, or in
// HTTP/2. A success comes only from it; every failure is answered with its
// cause, and a message that was cut is never ended as if it were whole.
package target

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
)

// Config says what a Target is and how it is reached. Its zero value lacks only
// an Address.
type Config struct {
	// Address is the target, as Parse read it.
	Address Address

	// ConnectTimeout bounds a connect, the TLS handshake included.
	// If zero, 5 seconds.
	ConnectTimeout time.Duration

	// HeaderTimeout bounds the wait for a response's head, from the last byte of
	// the request that the target took. If zero, 120 seconds.
	HeaderTimeout time.Duration

	// Hold is how long an exchange waits for a target that refuses connections
	// before that is its answer. If zero, it does not wait. With it, a request
	// that is safe to repeat (RFC 9110 9.2.1), has no body, and dies with its
	// connection before any answer is sent again, twice at most.
	Hold time.Duration

	// HostHeader says which Host the target sees: HostKeep, HostTarget, or any
	// other value, which is sent as it is. If empty, HostKeep.
	HostHeader string

	// Insecure accepts any certificate of a target spoken to over TLS.
	Insecure bool

	// RootCAs are the roots that sign the target's certificate.
	// If nil, the system's.
	RootCAs *x509.CertPool

	// Watch has Run look after a target that is up, too, once a second, so that
	// its end is noticed without an exchange. If false, exchanges notice it.
	Watch bool

	// Style says how failures are shown to visitors.
	// If nil, tunnel's own.
	Style *tunnel.Style

	// OnHealth is told by Run, one call after the other, when the target is
	// found up or down for the first time, and whenever that changes or its
	// cause does. If nil, nobody is told.
	OnHealth func(Health)

	// OnSymptom is told, for each code once, what the target says of how it is
	// shared, by how it answers. It is called from many goroutines and must not block. If
	// nil, nobody is told.
	OnSymptom func(Symptom)
}

// Values of Config.HostHeader that do not stand for themselves.
const (
	HostKeep   = "keep"   // as the visitor sent it
	HostTarget = "target" // the target's own
)

func (c *Config) connectTimeout() time.Duration {
	if c.ConnectTimeout == 0 {
		return 5 * time.Second
	}
	return c.ConnectTimeout
}

func (c *Config) headerTimeout() time.Duration {
	if c.HeaderTimeout == 0 {
		return 120 * time.Second
	}
	return c.HeaderTimeout
}

// host returns the Host that replaces the visitor's, "" to keep that.
func (c *Config) host() string {
	switch c.HostHeader {
	case "", HostKeep:
		return ""
	case HostTarget:
		return c.Address.Authority()
	}
	return c.HostHeader
}

// A Target is a program that requests are brought to. Its methods may be called
// from any goroutine.
type Target struct {
	cfg    Config
	hop    string                 // the target as failures name it
	self   string                 // the Host that it knows itself by
	host   atomic.Pointer[string] // the Host to send, "" for the visitor's
	dialer *dialer
	pool   *pool
	h2     *h2Target // nil if the target speaks HTTP/1.1
	health health
	told   atomic.Uint32 // the symptoms that OnSymptom knows, a bit for each code

	seenBeside bool // something took a connection beside a target that refused one; owned by Run

	// spare is a connection of Run's that no exchange has used: a target that
	// accepts only one is not robbed of it.
	spare   atomic.Pointer[conn]
	flights sync.Pool

	once   sync.Once     // guards closing closed
	closed chan struct{} // closed by Close
}

// New returns a Target that nothing is connected to yet.
func New(cfg Config) (*Target, error) {
	if cfg.Address == (Address{}) {
		return nil, fmt.Errorf("no target is given")
	}
	if host := cfg.host(); host != "" {
		if _, _, err := http1.CanonicalHost([]byte(host)); err != nil && host != cfg.Address.Authority() {
			return nil, fmt.Errorf("host header %.60q: write keep, target or a host", host)
		}
	}
	if cfg.ConnectTimeout < 0 || cfg.HeaderTimeout < 0 || cfg.Hold < 0 {
		return nil, fmt.Errorf("a timeout of the target is negative")
	}
	t := &Target{
		cfg:    cfg,
		hop:    cfg.Address.String(),
		self:   cfg.Address.Authority(),
		dialer: newDialer(&cfg),
		pool:   newPool(cfg.headerTimeout()),
		closed: make(chan struct{}),
	}
	host := cfg.host()
	t.host.Store(&host)
	t.health.init()
	t.flights.New = func() any { return newFlight(t) }
	if cfg.Address.http2() {
		t.h2 = newH2Target(t)
	}
	return t, nil
}

// Run watches whether the target is up, until ctx ends; it then returns nil. It
// connects once at its start, and while the target is down once a second at
// most; with Config.Watch also when that connection has ended or is in use. Serve
// works without it, but for Hold, which waits for Run to find the target.
func (t *Target) Run(ctx context.Context) error { return t.watch(ctx) }

// Serve carries one exchange to the target and back. It returns when both
// halves of x have ended, or x has failed, with the status that the visitor got,
// 0 if none, and with the failure, if there was one. Every failure has been
// answered or passed on then.
func (t *Target) Serve(x *tunnel.Exchange) (status int, failure *tunnel.Failure) {
	if t.h2 != nil {
		return t.h2.serve(x)
	}
	f := t.flights.Get().(*flight)
	status, failure = f.serve(x)
	// An abort that is still on its way to this flight must not meet its next
	// exchange.
	if x.OnAbort(nil); x.Err() == nil {
		f.release()
		t.flights.Put(f)
	}
	return status, failure
}

// KeepsHost reports whether the target sees the Host that visitors send.
func (t *Target) KeepsHost() bool { return *t.host.Load() == "" }

// SendOwnHost has the target see its own Host from the next request on, as
// HostTarget in Config.HostHeader does from the first.
func (t *Target) SendOwnHost() { t.host.Store(&t.self) }

// Health says whether the target is up, as far as is known.
func (t *Target) Health() Health { return t.health.get() }

// Close closes all connections to the target; exchanges under way are cut. Run
// has returned before.
func (t *Target) Close() {
	t.once.Do(func() { close(t.closed) })
	t.pool.close()
	if t.h2 != nil {
		t.h2.close()
	}
	t.closeSpare()
}
