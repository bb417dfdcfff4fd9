// Package edge serves visitors: it reads their requests strictly, carries them
// over an exchange to the agent and its answer back. HTTP/1.1 and HTTP/2 are
// engines of their own.
package edge

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"share/relay/access"
	"share/relay/meter"
	"share/relay/route"
	"share/tunnel"
)

// Config is what an Edge serves.
type Config struct {
	// Lookup finds where a host leads, given in canonical form (lower case,
	// no port, no trailing dot).
	Lookup func(host []byte) Place

	// Elsewhere gives the URL, without a path, of a host in canonical form,
	// for those who came to Redirect; empty if it has none. It may be nil if
	// nobody does.
	Elsewhere func(host []byte) string

	// Proof answers a CA that looks at a path below /.well-known/ for the proof
	// that a host is the relay's (RFC 8555 8.3); ok is false if there is none.
	// If nil, there never is.
	Proof func(path string) (text string, ok bool)

	// Home is the text of the relay's own page.
	Home string

	// Agent serves an agent that has come by WebSocket to the relay's own
	// host; it owns conn. secret says that the request came over TLS, as far
	// as the relay can know: where a trusted proxy ends it, by its word. If
	// nil, no agent comes that way.
	Agent func(conn net.Conn, secret bool)

	// Full returns why no exchange is to begin now, nil if one may: it is asked
	// for each. If nil, they always may.
	Full func() *tunnel.Failure

	// Uploads is the memory for what visitors of HTTP/2 send and nobody has
	// read: without some of it a connection has 64 KiB, and with it 4 MiB. If
	// nil, each has 4 MiB.
	Uploads *tunnel.Budget

	// TrustedProxies are the peers whose forwarding fields are believed.
	TrustedProxies []netip.Prefix

	// HeadTimeout bounds a head, from its first byte to its last. If zero,
	// 10 seconds.
	HeadTimeout time.Duration

	// IdleTimeout bounds the time between two requests of a connection. If
	// zero, 60 seconds.
	IdleTimeout time.Duration

	// Logger takes a line for each request. If nil, nothing is logged.
	Logger *slog.Logger

	// Meter counts exchanges. If nil, nothing does.
	Meter *meter.Meter

	// Access takes a record of each exchange. If nil, none is made.
	Access *access.Log

	// Timing adds a Server-Timing field to the answers that agents send, which
	// says how long relay, link and target took.
	Timing bool
}

func (c *Config) headTimeout() time.Duration { return cmp.Or(c.HeadTimeout, 10*time.Second) }
func (c *Config) idleTimeout() time.Duration { return cmp.Or(c.IdleTimeout, 60*time.Second) }

const (
	// lastRequest is how long a connection may be idle once Yield was called,
	// and how long a visitor of HTTP/2 may take to learn of that.
	lastRequest = 2 * time.Second

	// refusedTime is how long a visitor for whom there is no room may take for
	// a head, and before it: as long as nobody else is told in their place.
	refusedTime = 2 * time.Second
)

// idleTime is how long a connection may be idle.
func (e *Edge) idleTime(p *peer) time.Duration {
	switch {
	case p.refusal != nil:
		return min(refusedTime, e.idleTimeout())
	case e.draining.Load():
		return min(lastRequest, e.idleTimeout())
	}
	return e.idleTimeout()
}

// headTime is how long a head may take.
func (e *Edge) headTime(p *peer) time.Duration {
	if p.refusal != nil {
		return min(refusedTime, e.headTimeout())
	}
	return e.headTimeout()
}

// A Place is where a host leads: to a tunnel, to the relay's own page, or, if
// zero, nowhere.
type Place struct {
	Tunnel *route.Tunnel
	Home   bool
}

// An Edge serves visitors' connections.
type Edge struct {
	Config
	style tunnel.Style
	ids   ids

	draining atomic.Bool   // the requests under way are their connections' last
	closing  atomic.Bool   // connections between two requests are closed
	done     chan struct{} // closed by Close
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[connection]struct{} // guarded by mu
	closed bool                    // guarded by mu
}

// A connection is a visitor's.
type connection interface {
	// look is the connection's share of watch; it does not block.
	look(now time.Time)
	// answering reports whether a request is under way.
	answering() bool
	// closeIdle ends the connection if it is between two requests, and
	// reports whether it is.
	closeIdle() bool
	// yield lets the next requests be the last, where they say so themselves.
	yield()
	// drain lets the requests under way be the last.
	drain()
	// cut ends the connection now; an answer under way is visibly cut.
	cut()
}

// New returns an Edge. Close ends it.
func New(cfg Config) *Edge {
	e := &Edge{
		Config: cfg,
		ids:    newIDs(),
		done:   make(chan struct{}),
		conns:  make(map[connection]struct{}),
	}
	e.wg.Go(e.watch)
	return e
}

// Serve serves an HTTP/1.1 visitor until the connection ends, and closes it.
// Reads see first before what nc brings. raw is the connection beneath TLS, or
// nc itself. covers reports whether the certificate that the visitor was shown
// is for a host; it is nil without TLS. A visitor who turns out to be an agent is
// Config.Agent's from then on, and the connection no longer one of the Edge's.
func (e *Edge) Serve(nc, raw net.Conn, first []byte, covers func(host string) bool) {
	c := newConn(e, nc, raw, first)
	c.peer.covers = covers
	e.run(c)
}

// run is what Serve does with a connection.
func (e *Edge) run(c *conn) {
	if !e.add(c) {
		c.raw.Close()
		return
	}
	deepen(c.w)
	if key, secret := e.serve(c); key != "" {
		e.handOver(c.nc, key, secret)
	}
}

// serve serves a visitor of HTTP/1.1. A key means that the connection is to
// become a WebSocket.
func (e *Edge) serve(c *conn) (key string, secret bool) {
	defer e.remove(c)
	c.serve()
	return c.key, c.secret
}

// deepen makes room on the stack for a request's way, at once and while there
// is little to move: growing by the way takes a tenth of a short connection's
// time. n is below the room, and keeps that from being optimised away.
//
//go:noinline
func deepen(n int) byte {
	var room [6 << 10]byte
	return room[n]
}

// Serve2 is Serve for an HTTP/2 visitor: over TLS, or with prior knowledge
// (RFC 9113 3.3).
func (e *Edge) Serve2(nc, raw net.Conn, first []byte, covers func(host string) bool) {
	c := newConn2(e, nc, raw, first)
	c.peer.covers = covers
	e.run2(c)
}

// run2 is what Serve2 does with a connection.
func (e *Edge) run2(c *conn2) {
	if !e.add(c) {
		c.raw.Close()
		return
	}
	defer e.remove(c)
	c.serve()
}

// Refuse is Serve, or Serve2 if second is set, for a visitor for whom there is no
// room: requests are answered with why, and the connection ends.
func (e *Edge) Refuse(nc, raw net.Conn, first []byte, second bool, why *tunnel.Failure) {
	if second {
		c := newConn2(e, nc, raw, first)
		c.peer.refusal = why
		e.run2(c)
		return
	}
	c := newConn(e, nc, raw, first)
	c.peer.refusal = why
	e.run(c)
}

// errStray is a visitor who speaks no TLS where it is spoken.
var errStray = errors.New("plain HTTP where TLS is spoken")

// Stray tells a visitor who began with a request in plain where TLS is spoken, and
// closes nc. What was read of the request is lost but for its beginning.
func (e *Edge) Stray(nc net.Conn, begin []byte) {
	c := newConn(e, nc, nc, nil)
	if !e.add(c) {
		nc.Close()
		return
	}
	defer e.remove(c)
	defer c.release()
	c.refuse(tunnel.Fail(tunnel.RequestBad, errStray), begin)
}

func (e *Edge) add(c connection) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.conns[c] = struct{}{}
	return true
}

func (e *Edge) remove(c connection) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// all returns the connections of now.
func (e *Edge) all(into []connection) []connection {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		into = append(into, c)
	}
	return into
}

// Close cuts what is left, and returns when all that New started has ended.
// The callers of Serve return soon after.
func (e *Edge) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	close(e.done)
	for _, c := range e.all(nil) {
		c.cut()
	}
	e.wg.Wait()
}

// watchEvery is how often connections are looked at: a visitor who leaves
// while the target thinks is noticed within two of these.
const watchEvery = 250 * time.Millisecond

// watch is the one timer of all connections: a deadline each would cost every
// request what only the slow ones need.
func (e *Edge) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var all []connection
	for {
		select {
		case <-ticker.C:
		case <-e.done:
			return
		}
		all = e.all(all[:0])
		now := time.Now()
		for _, c := range all {
			c.look(now)
		}
		clear(all)
	}
}
