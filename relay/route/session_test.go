package route

import (
	"context"
	"net"
	"sync"
	"testing"

	"share/tunnel"
)

// agents returns the two ends of a session. Its agent serves only if handler
// is not nil: otherwise it answers nothing, pings neither.
func agents(t *testing.T, handler func(*tunnel.Exchange)) (agent, relay *tunnel.Session) {
	t.Helper()
	a, r := net.Pipe()
	var wg sync.WaitGroup
	accepted := make(chan *tunnel.Session, 1)
	wg.Go(func() {
		defer close(accepted)
		if _, err := tunnel.ReadHello(r); err != nil {
			return
		}
		if s, err := tunnel.Accept(r, &tunnel.Welcome{}); err == nil {
			accepted <- s
			s.Serve(context.Background(), nil)
		}
	})
	agent, err := tunnel.Connect(context.Background(), a, tunnel.Hello{})
	if err != nil {
		t.Fatal(err)
	}
	if handler != nil {
		wg.Go(func() { agent.Serve(context.Background(), handler) })
	}
	relay = <-accepted
	if relay == nil {
		t.Fatal("the session was not accepted")
	}
	t.Cleanup(func() {
		agent.Close()
		relay.Close()
		wg.Wait()
	})
	return agent, relay
}

// evictions remembers who lost a name.
type evictions struct {
	mu    sync.Mutex
	names []string // guarded by mu
}

func (e *evictions) of(name string) func(tunnel.RejectCode, string) {
	return func(tunnel.RejectCode, string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.names = append(e.names, name)
	}
}

func (e *evictions) take() (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	names, e.names = e.names, nil
	return names
}
