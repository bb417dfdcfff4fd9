// Package hold keeps many idle agents' sessions with a relay, from one
// process: each has a name and a connection of its own, as an agent's has.
package hold

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
)

const (
	// abreast is how many agents connect at once.
	abreast = 16

	// startTime bounds how long one agent may take to have its name.
	startTime = 30 * time.Second
)

// Config says whom to hold and where.
type Config struct {
	Relay  string         // address of the relay
	CA     *x509.CertPool // what signs its certificate; if nil, the link is plain TCP
	Source string         // the address to connect from; if empty, the system's choice
	Name   string         // what the names begin with; a number follows
	Count  int            // how many
	Token  func(i int) string
}

// A Holder is a set of idle agents.
type Holder struct {
	cfg    Config
	cancel context.CancelCauseFunc
	lost   atomic.Int64
	wg     sync.WaitGroup
}

// Open connects Count agents and returns once each has its name. The caller
// closes the Holder.
func Open(ctx context.Context, cfg Config) (*Holder, error) {
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	h := &Holder{cfg: cfg, cancel: cancel}
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	numbers := make(chan int)
	var starting sync.WaitGroup
	for range min(abreast, cfg.Count) {
		starting.Go(func() {
			for i := range numbers {
				if err := h.start(life, i); err != nil {
					cancel(fmt.Errorf("agent %d: %w", i, err))
				}
			}
		})
	}
	for i := range cfg.Count {
		if life.Err() != nil {
			break
		}
		numbers <- i
	}
	close(numbers)
	starting.Wait()
	if life.Err() != nil {
		h.Close()
		return nil, context.Cause(life)
	}
	return h, nil
}

// Lost is how many sessions have ended.
func (h *Holder) Lost() int { return int(h.lost.Load()) }

// Close ends all sessions.
func (h *Holder) Close() {
	h.cancel(nil)
	h.wg.Wait()
}

// NameOf is the name of agent i.
func (h *Holder) NameOf(i int) string { return fmt.Sprintf("%s-%d", h.cfg.Name, i) }

// start opens the session of agent i, which lasts until life ends.
func (h *Holder) start(life context.Context, i int) error {
	ctx, cancel := context.WithTimeout(life, startTime)
	defer cancel()
	conn, err := h.dial(ctx)
	if err != nil {
		return err
	}
	hello := tunnel.Hello{Version: "bench", OS: runtime.GOOS}
	if h.cfg.Token != nil {
		hello.Token = h.cfg.Token(i)
	}
	s, err := tunnel.Connect(ctx, conn, hello, &tunnel.Bind{ID: 1, Kind: "http", Name: h.NameOf(i), Holder: h.NameOf(i)})
	if err != nil {
		return err
	}
	h.wg.Go(func() {
		_ = s.Serve(life, answer) // its end is told by Lost
		h.lost.Add(1)
	})
	m, err := s.Receive(ctx)
	if err != nil {
		return fmt.Errorf("wait for the name: %w", err)
	}
	bound, ok := m.(*tunnel.Bound)
	if refused, no := m.(*tunnel.BindError); no {
		return refused
	}
	if !ok || bound.Name != h.NameOf(i) {
		return fmt.Errorf("asked for the name %s, the relay says %+v", h.NameOf(i), m)
	}
	return s.Send(&tunnel.TargetHealth{Tunnel: bound.Tunnel, Up: true, Since: time.Now()})
}

// dial connects as an agent does.
func (h *Holder) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if h.cfg.Source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(h.cfg.Source)}
	}
	conn, err := d.DialContext(ctx, "tcp", h.cfg.Relay)
	if err != nil || h.cfg.CA == nil {
		return conn, err
	}
	host, _, err := net.SplitHostPort(h.cfg.Relay)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	tc := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: h.cfg.CA, NextProtos: []string{tunnel.ALPN}, MinVersion: tls.VersionTLS13})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS handshake: %w", err), conn.Close())
	}
	return tc, nil
}

// answer serves what visitors ask an idle agent for.
func answer(x *tunnel.Exchange) {
	const text = "idle\n"
	// An error is the exchange's end.
	if x.SendResponse(&tunnel.Response{Status: 200, ContentLength: int64(len(text))}) == nil {
		_, _ = io.WriteString(x, text)
		_ = x.End(nil)
	}
}
