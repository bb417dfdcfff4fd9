//go:build linux

package attacks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// every is how often the neighbour's visitors ask.
const every = 50 * time.Millisecond

// A neighbour is a tunnel that nobody attacks, and its visitors: one who follows
// a stream, and one who asks now and then, half of the times over a new
// connection.
type neighbour struct {
	stop     context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex
	took     []time.Duration // guarded by mu; each request
	failures []error         // guarded by mu
}

// settle starts the neighbour's agent and visitors. If asks is not set, there is
// only the one who follows the stream.
func (s *siege) settle(asks bool) *neighbour {
	s.Helper()
	s.agent("neighbour")
	ctx, stop := context.WithCancel(context.Background())
	n := &neighbour{stop: stop}
	addr := s.relay.Doors["http"]
	following := make(chan struct{})
	n.wg.Go(func() { n.note(follow(ctx, addr, following)) })
	select {
	case <-following:
	case <-time.After(patience):
		s.Error("the neighbour's stream does not begin")
	}
	if asks {
		n.wg.Go(func() { n.visit(ctx, addr) })
	}
	s.Cleanup(func() {
		stop()
		n.wg.Wait()
	})
	return n
}

func (n *neighbour) note(err error) {
	if err == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failures = append(n.failures, err)
}

// leave ends the visits. It fails the test if there was any error.
func (n *neighbour) leave(t *testing.T) (requests int, worst time.Duration) {
	t.Helper()
	n.stop()
	n.wg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, err := range n.failures {
		if i == 3 {
			t.Errorf("and %d more", len(n.failures)-i)
			break
		}
		t.Errorf("the neighbour saw: %v", err)
	}
	for _, d := range n.took {
		worst = max(worst, d)
	}
	return len(n.took), worst
}

// visit asks until ctx ends.
func (n *neighbour) visit(ctx context.Context, addr string) {
	client := neighbourly(addr)
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if i%2 == 0 {
			client.CloseIdleConnections()
		}
		began := time.Now()
		err := ask(client)
		n.mu.Lock()
		n.took = append(n.took, time.Since(began))
		n.mu.Unlock()
		n.note(err)
	}
}

// neighbourly returns a client that reaches every host at addr.
func neighbourly(addr string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	}}
}

// ask asks the neighbour's tunnel, and wants its answer.
func ask(client *http.Client) error {
	resp, err := client.Get("http://neighbour.localhost/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != 200 || string(body) != "hello") {
		err = fmt.Errorf("%d %s %q", resp.StatusCode, resp.Header.Get("Share-Error"), body)
	}
	return err
}

// follow reads the neighbour's stream until ctx ends; following is closed once
// it has begun. A word that comes late is an error.
func follow(ctx context.Context, addr string, following chan struct{}) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	fmt.Fprint(nc, "GET /ticks HTTP/1.1\r\nHost: neighbour.localhost\r\n\r\n")
	nc.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return fmt.Errorf("stream: %s", resp.Status)
	}
	close(following)
	words := bufio.NewReader(resp.Body)
	for {
		nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := words.ReadString('\n'); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return errors.Join(errors.New("stream was cut"), err)
		}
	}
}
