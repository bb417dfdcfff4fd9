package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// localPort is where a Local listens if it can: URLs stay the same then.
const localPort = 7070

// A Local is a relay for the agents of its own process, which reach it by Dial: on
// loopback, and at the addresses of the machine that it was given. While there is
// one tunnel, it is reached by the port alone.
type Local struct {
	relay     *Relay
	doors     []Door
	addresses []netip.Addr

	mu       sync.Mutex
	sessions context.Context // guarded by mu; nil unless Serve runs
	attached sync.WaitGroup
}

// NewLocal listens at port 7070 of the loopback addresses and of the addresses given,
// or at a free port if that is taken. It never takes a port of avoid, which are those
// of the targets.
func NewLocal(version string, addresses []netip.Addr, avoid ...int) (*Local, error) {
	listeners, err := listenLocal(localPort, addresses, avoid)
	if err != nil {
		return nil, err
	}
	l := &Local{addresses: addresses}
	for _, ln := range listeners {
		l.doors = append(l.doors, Door{Listener: ln, Kind: "http"})
	}
	if l.relay, err = New(Config{Sole: true, Addresses: addresses, Version: version}); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Notes say that URLs will not be those of another day, if that is so, and who
// else than this machine can reach them.
func (l *Local) Notes() (notes []string) {
	port := portOf(l.doors[0])
	if port != localPort {
		notes = append(notes, fmt.Sprintf("port %d is taken: the URL has port %d this time, and another the next", localPort, port))
	}
	if len(l.addresses) == 0 {
		return notes
	}
	var urls []string
	for _, a := range l.addresses {
		urls = append(urls, "http://"+net.JoinHostPort(a.String(), strconv.Itoa(port)))
	}
	return append(notes, "everybody in the local network can reach the target, unencrypted, at "+strings.Join(urls, ", "))
}

// Close stops listening. It is for a Local that does not come to Serve.
func (l *Local) Close() error {
	var errs []error
	for _, d := range l.doors {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Dial connects an agent. It fails unless Serve runs.
func (l *Local) Dial(context.Context) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions == nil {
		return nil, net.ErrClosed
	}
	ctx := l.sessions
	agent, relay := net.Pipe()
	l.attached.Go(func() { l.relay.Attach(ctx, relay) })
	return agent, nil
}

// Serve serves while agent runs, which has all agents and which it calls with ctx, or with a context
// that ends earlier if the relay fails. The relay outlives the agent, so that
// what is in flight when ctx ends can end. Serve returns after all that it
// started has ended, with the agent's error or else the relay's.
func (l *Local) Serve(ctx context.Context, agent func(context.Context) error) error {
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	l.mu.Lock()
	l.sessions = serving
	l.mu.Unlock()

	var wg sync.WaitGroup
	var failure error
	wg.Go(func() {
		failure = l.relay.Serve(serving, l.doors...)
		failed(failure)
	})
	err := agent(ctx)
	stop()
	l.mu.Lock()
	l.sessions = nil // nothing is attached any more
	l.mu.Unlock()
	wg.Wait()
	l.attached.Wait()
	if err == nil {
		err = failure
	}
	return err
}

// Cut ends Serve without grace.
func (l *Local) Cut() { l.relay.Cut() }

// listenLocal listens at the same port of 127.0.0.1 and, where there is one,
// [::1], since localhost may be either, and of the addresses. If port is taken or is
// one of avoid, that is a free port.
func listenLocal(port int, addresses []netip.Addr, avoid []int) (_ []net.Listener, err error) {
	hosts := []string{"127.0.0.1"}
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil {
		probe.Close()
		hosts = append(hosts, "::1")
	}
	for _, a := range addresses {
		hosts = append(hosts, a.String())
	}
	const tries = 16 // what is free at one address may be taken at the other
	for range tries {
		var listeners []net.Listener
		if port == 0 || !slices.Contains(avoid, port) {
			if listeners, err = listenAll(hosts, port); err == nil && !slices.Contains(avoid, portOf(listeners[0])) {
				return listeners, nil
			}
		}
		closeAll(listeners)
		port = 0
	}
	return nil, fmt.Errorf("listen for visitors: %w", err)
}

// listenAll listens at the same port of each host; 0 is one that is free.
func listenAll(hosts []string, port int) (listeners []net.Listener, err error) {
	for _, host := range hosts {
		ln, err := listen(net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		listeners = append(listeners, ln)
		port = portOf(ln)
	}
	return listeners, nil
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

func closeAll(listeners []net.Listener) {
	for _, ln := range listeners {
		ln.Close()
	}
}
