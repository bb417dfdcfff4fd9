// Package dns is a relay's part in the DNS: a server that answers for the
// relay's domain and for nothing else, and a client that changes the zone of
// another server (RFC 2136). Both publish what proves to a certificate
// authority that the domain is the relay's (RFC 8555 8.4).
package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxUDP is the longest answer over UDP: what passes everywhere in one
	// piece.
	maxUDP = 1232

	// maxDomain leaves room for what stands before the domain.
	maxDomain = 200

	// maxAddresses keeps the addresses of a name within an answer over UDP.
	maxAddresses = 16
)

// Config is what a Server answers for.
type Config struct {
	// Domain is the relay's.
	Domain string

	// Addresses are those of the domain and of every name below it, 16 at
	// most. If empty, the server answers for _acme-challenge.Domain alone:
	// the domain is another server's.
	Addresses []netip.Addr

	// Logger is told what a resolver cannot tell. If nil, nobody is.
	Logger *slog.Logger
}

// A Server answers for a zone over UDP and TCP, to everybody and never more
// than it is asked for: it asks no other server, and how often it answers an
// address is bounded.
type Server struct {
	zone  *zone
	log   *slog.Logger
	udp   net.PacketConn
	tcp   net.Listener
	limit limiter
}

// New returns a Server, which answers once it listens and is served.
func New(cfg Config) (*Server, error) {
	if _, ok := dns.IsDomainName(cfg.Domain); !ok || cfg.Domain == "" || len(cfg.Domain) > maxDomain {
		return nil, fmt.Errorf("domain %.100q: want a name such as share.example.com", cfg.Domain)
	}
	if len(cfg.Addresses) > maxAddresses {
		return nil, fmt.Errorf("the domain has more than %d addresses", maxAddresses)
	}
	s := &Server{zone: newZone(cfg.Domain, cfg.Addresses), log: cfg.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Use makes tcp and udp where the server listens.
func (s *Server) Use(tcp net.Listener, udp net.PacketConn) { s.tcp, s.udp = tcp, udp }

// Listen listens at addr, over UDP and TCP, or at neither and returns why.
func (s *Server) Listen(addr string) (err error) {
	// A port that is free over TCP may be taken over UDP: where any will do,
	// another is tried.
	for range portTries {
		if s.tcp, err = net.Listen("tcp", addr); err != nil {
			return err
		}
		if s.udp, err = net.ListenPacket("udp", s.tcp.Addr().String()); err == nil {
			return nil
		}
		s.tcp.Close()
		if _, port, _ := net.SplitHostPort(addr); port != "0" {
			break
		}
	}
	return err
}

// portTries bounds the search for a port that is free over UDP and TCP.
const portTries = 10

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.tcp.Addr() }

// Close closes a Server that has not been served.
func (s *Server) Close() error {
	if s.tcp == nil || s.udp == nil {
		return nil
	}
	return errors.Join(s.udp.Close(), s.tcp.Close())
}

// Serve answers until ctx ends, and returns after all that it started has
// ended: nil, or why it cannot listen any more.
func (s *Server) Serve(ctx context.Context) error {
	conns := newQueue(s.tcp)
	servers := []*dns.Server{
		{PacketConn: s.udp, DecorateWriter: s.limit.bound},
		{Listener: conns, ReadTimeout: tcpRead, IdleTimeout: func() time.Duration { return tcpIdle }},
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for _, srv := range servers {
		srv.Handler = dns.HandlerFunc(s.serve)
		begun := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(begun) }
		wg.Go(func() {
			if err := srv.ActivateAndServe(); err != nil {
				stop(fmt.Errorf("DNS at %s: %w", s.Addr(), err))
			}
		})
		select {
		case <-begun: // from here on it can be shut down
		case <-ctx.Done():
		}
	}
	s.log.Info("listening", "door", "dns", "addr", s.Addr().String(), "zone", s.zone.apex)
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
	defer cancel()
	for _, srv := range servers {
		// An error is that it has ended before, or was cut.
		_ = srv.ShutdownContext(last)
	}
	conns.cut()
	s.Close()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lastAnswers is how long questions under way may take once ctx has ended.
const lastAnswers = time.Second

// serve answers one question.
func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	m := s.zone.answer(q)
	if _, over := w.RemoteAddr().(*net.UDPAddr); over {
		m.Truncate(sizeOf(q))
	}
	// An error is the loss of who asked.
	_ = w.WriteMsg(m)
}

// sizeOf is how long an answer over UDP may be.
func sizeOf(q *dns.Msg) int {
	if o := q.IsEdns0(); o != nil {
		return min(max(int(o.UDPSize()), dns.MinMsgSize), maxUDP)
	}
	return dns.MinMsgSize
}

// Present makes value one of those at fqdn, _acme-challenge below the domain.
func (s *Server) Present(_ context.Context, fqdn, value string) error {
	return s.zone.present(fqdn, value)
}

// Remove takes a value away that Present has made.
func (s *Server) Remove(_ context.Context, fqdn, value string) error {
	s.zone.remove(fqdn, value)
	return nil
}
