package target

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"share/tunnel"
)

const (
	// maxH2Head bounds a response's header list (RFC 9113 6.5.2) before it is
	// looked at; what passes must fit http1.MaxResponseHead as well. For a larger
	// one net/http may give up the connection, and others' streams with it.
	maxH2Head = 4 << 20

	// idleH2 is how long a connection without streams is kept: its end is
	// announced, so it can be long.
	idleH2 = 90 * time.Second
)

// An h2Target carries exchanges over HTTP/2 connections (RFC 9113), which are
// net/http's. Each exchange may take three goroutines of its own.
type h2Target struct {
	t         *Target
	transport *http.Transport
	scheme    string // as net/http calls it
	authority string

	mu   sync.Mutex
	live map[*h2Flight]bool // guarded by mu; nil once closed
}

func newH2Target(t *Target) *h2Target {
	h := &h2Target{t: t, scheme: "http", authority: t.cfg.Address.hostPort(), live: make(map[*h2Flight]bool)}
	protocols := new(http.Protocols)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		c := t.takeSpare()
		if c == nil {
			var failure *tunnel.Failure
			if c, failure = t.reach(ctx); failure != nil {
				return nil, failure
			}
		}
		if c.tls != nil {
			return c.tls, nil
		}
		return &h2cConn{socket: c.sock}, nil
	}
	h.transport = &http.Transport{
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxH2Head,
		IdleConnTimeout:        idleH2,
	}
	if t.cfg.Address.secure() {
		h.scheme = "https"
		protocols.SetHTTP2(true)
		h.transport.DialTLSContext = dial
	} else {
		protocols.SetUnencryptedHTTP2(true)
		h.transport.DialContext = dial
	}
	return h
}

// close resets the streams under way and closes the connections.
func (h *h2Target) close() {
	h.mu.Lock()
	live := h.live
	h.live = nil
	h.mu.Unlock()
	for f := range live {
		f.cancel(h.t.fail(tunnel.Draining, errStopping))
	}
	h.transport.CloseIdleConnections()
}

// enter notes a flight that close ends; leave undoes it.
func (h *h2Target) enter(f *h2Flight) {
	h.mu.Lock()
	closed := h.live == nil
	if !closed {
		h.live[f] = true
	}
	h.mu.Unlock()
	if closed {
		f.cancel(h.t.fail(tunnel.Draining, errStopping))
	}
}

func (h *h2Target) leave(f *h2Flight) {
	h.mu.Lock()
	delete(h.live, f)
	closed := h.live == nil
	h.mu.Unlock()
	if closed {
		h.transport.CloseIdleConnections()
	}
}
