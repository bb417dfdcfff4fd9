package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// loaders is how many connections a load has.
const loaders = 8

// A loading is requests that go on beside a script.
type loading struct {
	cancel context.CancelFunc
	stop   chan struct{} // closed when no more requests are to be sent
	wg     sync.WaitGroup

	mu     sync.Mutex
	good   int    // guarded by mu
	bad    int    // guarded by mu
	failed string // the first that was bad; guarded by mu
}

func load(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: load name url")
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &loading{cancel: cancel, stop: make(chan struct{})}
	first := make(chan struct{}, loaders)
	for range loaders {
		l.wg.Go(func() { l.run(ctx, args[1], first) })
	}
	for range loaders {
		<-first
	}
	ts.Value("loads").(map[string]*loading)[args[0]] = l
	ts.Defer(func() {
		cancel()
		l.wg.Wait()
	})
}

// run asks for url over one connection, as long as that lasts. It tells first of
// its first answer.
func (l *loading) run(ctx context.Context, url string, first chan<- struct{}) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, _ := net.SplitHostPort(addr); strings.HasSuffix(host, ".localhost") {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		l.count(one(ctx, transport, url))
		if n == 0 {
			first <- struct{}{}
		}
	}
}

// one asks once, and returns an error for all but a whole 200 that comes in patience.
func one(ctx context.Context, transport *http.Transport, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s, %q", resp.Status, body)
	}
	return err
}

func (l *loading) count(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.good++
		return
	}
	if l.bad++; l.bad == 1 {
		l.failed = err.Error()
	}
}

func loaded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: loaded name")
	}
	l := ts.Value("loads").(map[string]*loading)[args[0]]
	if l == nil {
		ts.Fatalf("there is no load %s", args[0])
	}
	close(l.stop)
	l.wg.Wait()
	ts.Logf("%d requests", l.good+l.bad)
	if l.bad > 0 || l.good < loaders {
		ts.Fatalf("%d of %d requests failed; the first: %s", l.bad, l.good+l.bad, l.failed)
	}
}
