//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Link is the wire between agent and relay: a TCP proxy that can be cut.
type Link struct {
	ln    net.Listener
	relay string
	gate  sync.RWMutex // held for reading around each write; Freeze holds it
	mu    sync.Mutex
	pairs map[*pair]struct{} // guarded by mu
}

type pair struct{ agent, relay net.Conn }

// NewLink listens for agents and will lead them to the relay's address.
func NewLink(relay string) (*Link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for agents: %w", err)
	}
	return &Link{ln: ln, relay: relay, pairs: map[*pair]struct{}{}}, nil
}

// Addr is where agents connect.
func (l *Link) Addr() string { return l.ln.Addr().String() }

// Serve carries bytes until ctx ends.
func (l *Link) Serve(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() {
		l.ln.Close()
		l.Reset()
	})
	defer stop()
	for {
		agent, err := l.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept agent: %w", err)
		}
		wg.Go(func() { l.carry(ctx, agent) })
	}
}

func (l *Link) carry(ctx context.Context, agent net.Conn) {
	var d net.Dialer
	relay, err := d.DialContext(ctx, "tcp", l.relay)
	if err != nil {
		abort(agent) // nobody there: the nearest thing to refusing
		return
	}
	p := &pair{agent, relay}
	l.mu.Lock()
	l.pairs[p] = struct{}{}
	l.mu.Unlock()
	if ctx.Err() != nil {
		l.Reset()
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.copy(agent, relay) })
	wg.Go(func() { l.copy(relay, agent) })
	wg.Wait()
	agent.Close()
	relay.Close()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// copy passes bytes and the way they end: FIN as FIN, anything else as RST.
func (l *Link) copy(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		l.gate.RLock()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		l.gate.RUnlock()
		if err == io.EOF {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			abort(to)
			abort(from)
			return
		}
	}
}

// Reset ends every connection with RST on both sides.
func (l *Link) Reset() { l.each(func(p *pair) { abort(p.agent); abort(p.relay) }) }

// Cut ends every connection with FIN on both sides.
func (l *Link) Cut() { l.each(func(p *pair) { p.agent.Close(); p.relay.Close() }) }

func (l *Link) each(do func(*pair)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		do(p)
	}
}

// Freeze lets no byte pass for d, or until ctx ends.
func (l *Link) Freeze(ctx context.Context, d time.Duration) {
	l.gate.Lock()
	defer l.gate.Unlock()
	pause(ctx, d)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
