//go:build unix

package devservers

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A load is visitors who ask for a module again and again.
type load struct {
	t    *testing.T
	stop context.CancelFunc
	all  sync.WaitGroup

	mu     sync.Mutex
	done   int      // guarded by mu
	failed []string // guarded by mu
}

// load starts n visitors, each with connections of its own.
func (u *tunnel) load(n int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{t: u.t, stop: stop}
	for range n {
		l.all.Go(func() {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					_, port, err := net.SplitHostPort(addr)
					if err != nil {
						return nil, err
					}
					return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
				},
			}
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				started := time.Now()
				err := fetch(transport, u.url+"main.js")
				l.mu.Lock()
				l.done++
				if err != nil {
					l.failed = append(l.failed, fmt.Sprintf("after %v: %v", time.Since(started), err))
				}
				l.mu.Unlock()
			}
		})
	}
	u.t.Cleanup(func() { l.end() })
	return l
}

// fetch fails unless the answer is 200 and whole.
func fetch(transport *http.Transport, url string) error {
	client := &http.Client{Transport: transport, Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", resp.Status, body)
	}
	return err
}

// more waits until n more requests have ended.
func (l *load) more(n int) {
	l.t.Helper()
	l.mu.Lock()
	goal := l.done + n
	l.mu.Unlock()
	until(l.t, fmt.Sprintf("%d requests", n), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.done >= goal
	})
}

// end stops the visitors, and returns what failed.
func (l *load) end() []string {
	l.stop()
	l.all.Wait()
	return l.failed
}
