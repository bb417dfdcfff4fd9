package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"share/relay/acme"
	"share/relay/meter"
	"share/tunnel"
	"share/tunnel/nbio"
)

const (
	// firstTimeout bounds the bytes, and under TLS the handshake, by which
	// a connection is told apart.
	firstTimeout = 10 * time.Second

	// agentTimeout is the same where only agents come, who have nothing to
	// wait for.
	agentTimeout = 5 * time.Second

	// acceptPause is how long a door waits that can take no connection for
	// want of descriptors.
	acceptPause = 50 * time.Millisecond

	// tlsRecord is the first byte of a TLS handshake (RFC 8446 5.1).
	tlsRecord = 0x16
)

var (
	errAccept = errors.New("door failed")
	errPlain  = errors.New("no TLS, and not from loopback")
	errTLS    = errors.New("TLS handshake")
	errOldTLS = errors.New("an agent with TLS below 1.3")
)

// accept takes connections at a door until ctx ends and the door is closed. What
// it starts lasts until sessions does.
func (r *Relay) accept(ctx, sessions context.Context, d *Door) error {
	config := r.tlsConfig(*d)
	for failing := false; ; {
		conn, err := d.Accept()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if ne, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, net.ErrClosed) {
			// Out of descriptors, or the visitor left in the queue.
			if !failing {
				failing = true
				r.log.Warn("cannot accept", "door", d.Kind, "error", ne.Error())
			}
			r.edge.Shed()
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errAccept, err)
		}
		failing = false
		if g := r.greet(conn); g != nil {
			r.wg.Go(func() { r.admit(sessions, d, config, g) })
		}
	}
}

// greet takes a connection that was accepted, which a drain may close until it
// has shown what it is for. It closes one for which there is no descriptor, or
// which comes when a drain has begun, and returns nil.
func (r *Relay) greet(conn net.Conn) *stranger {
	if !r.enter() {
		r.closeUnanswered(conn, errDescriptors)
		r.budget.leave()
		return nil
	}
	g := r.strangers.greet(conn)
	if g == nil {
		conn.Close()
		r.budget.leave()
	}
	return g
}

// admit tells visitors and agents apart and serves them; it owns the connection of
// g, which was greeted.
func (r *Relay) admit(ctx context.Context, d *Door, config *tls.Config, g *stranger) {
	defer r.budget.leave()
	defer r.strangers.gone(g)
	accepted := g.conn
	conn, err := nbio.New(accepted), error(nil)
	if d.Fronts != nil {
		if conn, err = d.unproxy(conn, accepted); err != nil {
			r.turnAway(d, accepted, err)
			return
		}
	}
	crowd, within := r.recognise(d, g, conn.RemoteAddr())
	if crowd != nil {
		r.visiting.Add(1)
		defer r.visiting.Add(-1)
		r.strangers.met(g)
		r.turnBack(ctx, d, config, conn, crowd)
		return
	}
	var covers func(string) bool
	handshake := ctx
	if config != nil {
		s := new(shown)
		covers, handshake = s.covers, context.WithValue(ctx, shownKey{}, s)
	}
	nc, first, protocol, err := d.identify(handshake, config, conn, d.patience())
	if err != nil {
		if d.AgentsOnly {
			r.strangers.failed(conn.RemoteAddr())
		} else if begin := plainText(err); begin != nil && r.refusal(within) == nil {
			r.visiting.Add(1)
			defer r.visiting.Add(-1)
			r.strangers.met(g)
			r.refused(err)
			r.edge.Stray(conn, begin)
			return
		}
		r.turnAway(d, conn, err)
		return
	}
	if protocol == tunnel.ALPN && !r.cfg.Sole && !d.Redirect {
		r.serveAgent(ctx, unread(nc, first), tlsOf(nc), func() { r.strangers.gone(g) })
		return
	}
	r.visiting.Add(1)
	defer r.visiting.Add(-1)
	r.strangers.met(g)
	why := r.refusal(within)
	switch {
	case d.Redirect:
		r.edge.Redirect(conn, first)
	case protocol == acme.Protocol:
		nc.Close()
	case d.AgentsOnly:
		r.meter.Refuse(meter.RefusedProtocol)
		conn.Close()
	case why != nil:
		r.refuse(conn, why, func() { r.tell(nc, conn, first, protocol, why) })
	case protocol == "h2":
		r.edge.Serve2(nc, conn, first, covers)
	default:
		r.edge.Serve(nc, conn, first, covers)
	}
}

// plainText is what came in place of a TLS handshake if that is text, as a request
// in plain begins; nil if it is none.
func plainText(err error) []byte {
	e, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || e.Conn == nil {
		return nil
	}
	for _, c := range e.RecordHeader {
		if c < ' ' || c > '~' {
			return nil
		}
	}
	return e.RecordHeader[:]
}

// turnAway closes a connection that did not come to be anybody's.
func (r *Relay) turnAway(d *Door, conn net.Conn, err error) {
	r.refused(err)
	level, text := slog.LevelDebug, "connection dropped"
	if errors.Is(err, errHeader) && !errors.Is(err, net.ErrClosed) {
		// Each of the front's visitors is lost like this one.
		level, text = slog.LevelWarn, "a front's connection is closed: it has to begin with a PROXY protocol header"
	}
	r.log.Log(context.Background(), level, text, "door", d.Kind, "client", conn.RemoteAddr().String(), "error", err.Error())
	conn.Close()
}

// serveAgent serves the agent behind conn, which it owns, until ctx ends; see
// meetAgent, which calls met. A session goes on when it has returned.
func (r *Relay) serveAgent(ctx context.Context, conn net.Conn, secret bool, met func()) {
	if s := r.meetAgent(ctx, conn, secret, met); s != nil {
		r.budget.enter() // as long as the session's first lane
		// It may last for months: not on the stack that the handshake, or
		// the request, has made large.
		r.wg.Go(func() {
			defer r.budget.leave()
			r.converse(ctx, s)
		})
	}
}

func tlsOf(nc net.Conn) bool {
	_, ok := nc.(*tls.Conn)
	return ok
}

// patience is how long a connection may take to be told apart.
func (d *Door) patience() time.Duration {
	if d.AgentsOnly {
		return agentTimeout
	}
	return firstTimeout
}

// identify reads as much of conn as it takes to know the protocol, or what has
// come by the timeout: a name of ALPN, "h2" for prior knowledge too, empty for
// HTTP/1.1.
func (d *Door) identify(ctx context.Context, config *tls.Config, conn net.Conn, timeout time.Duration) (nc net.Conn, first []byte, protocol string, err error) {
	if config == nil {
		// The usual visitor has sent a request by now: nothing is waited
		// for, and the whole of it is read at once.
		if first = readNow(conn); told(first) {
			return conn, first, protocolOf(first), nil
		}
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, nil, "", err
	}
	if config != nil && d.AgentsOnly {
		// Agents in plain are told apart by the first byte.
		first = make([]byte, 1)
		if _, err := io.ReadFull(conn, first); err != nil {
			return nil, nil, "", err
		}
		if first[0] != tlsRecord && !fromLoopback(conn) {
			return nil, nil, "", errPlain
		}
	}
	if config != nil && (first == nil || first[0] == tlsRecord) {
		tc := tls.Server(unread(conn, first), config)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, nil, "", fmt.Errorf("%w: %w", errTLS, err)
		}
		state := tc.ConnectionState()
		if state.NegotiatedProtocol == tunnel.ALPN && state.Version < tls.VersionTLS13 {
			return nil, nil, "", errOldTLS
		}
		return tc, nil, state.NegotiatedProtocol, conn.SetDeadline(time.Time{})
	}
	if first, err = readFirst(conn, first); err != nil {
		return nil, nil, "", err
	}
	return conn, first, protocolOf(first), conn.SetDeadline(time.Time{})
}

// told reports whether first tells the protocol of a plain door.
func told(first []byte) bool {
	return len(first) >= tunnel.PeekLen || len(first) > 0 && first[0] != 'S' && first[0] != 'P'
}

func protocolOf(first []byte) string {
	switch {
	case tunnel.IsPreface(first):
		return tunnel.ALPN
	case bytes.HasPrefix(first, []byte("PRI *")): // RFC 9113 3.4
		return "h2"
	}
	return ""
}

// readNow reads what has come, if the connection can tell.
func readNow(conn net.Conn) []byte {
	s, ok := conn.(*nbio.Conn)
	if !ok {
		return nil
	}
	buf := requests.Get().(*[]byte)
	defer requests.Put(buf)
	// An error comes again.
	n, _ := s.ReadNow(*buf)
	return bytes.Clone((*buf)[:n])
}

// requestBuffer holds a usual request.
const requestBuffer = 4 << 10

// requests are buffers of that size.
var requests = sync.Pool{New: func() any { b := make([]byte, requestBuffer); return &b }}

// readFirst reads behind first what tells protocols apart on a plain door. A
// timeout behind a first byte is no error: an HTTP/1.1 visitor is slow, and
// will be told.
func readFirst(conn net.Conn, first []byte) ([]byte, error) {
	buf := make([]byte, tunnel.PeekLen)
	n := copy(buf, first)
	for !told(buf[:n]) {
		k, err := conn.Read(buf[n:])
		n += k
		if k == 0 {
			if n == 0 {
				return nil, err
			}
			break
		}
	}
	return buf[:n], nil
}

// unread returns conn with first before what it brings.
func unread(conn net.Conn, first []byte) net.Conn {
	if len(first) == 0 {
		return conn
	}
	if s, ok := conn.(*nbio.Conn); ok {
		s.Unread(first)
		return s
	}
	return &unreadConn{conn, first}
}

// An unreadConn gives back bytes that were read to look at them.
type unreadConn struct {
	net.Conn
	first []byte
}

func (c *unreadConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn is the connection beneath.
func (c *unreadConn) NetConn() net.Conn { return c.Conn }
