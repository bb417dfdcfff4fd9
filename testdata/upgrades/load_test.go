//go:build unix

package upgrades

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// rate is how many requests are made in a second.
const rate = 300

// A load asks at the rate until it is stopped.
type load struct {
	*world
	visitors []visitor
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	asked, failed atomic.Int64

	mu      sync.Mutex
	slowest time.Duration // guarded by mu
	slow    string        // guarded by mu; which request that was
}

// A visitor is a way to ask.
type visitor struct {
	name   string
	url    string
	method string
	client *http.Client
}

func startLoad(w *world) *load {
	l := &load{world: w}
	client := func(keep, second bool) *http.Client {
		tr := &http.Transport{
			DisableKeepAlives:   !keep,
			MaxIdleConnsPerHost: 16,
			TLSClientConfig:     &tls.Config{RootCAs: w.roots},
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(addr)
				return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
			},
		}
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetHTTP1(!second)
		tr.Protocols.SetHTTP2(second)
		return &http.Client{Transport: tr, Timeout: patience}
	}
	plain, secure := "http://"+host+port(w.http), "https://"+host+port(w.https)
	for _, method := range []string{"GET", "POST"} {
		l.visitors = append(l.visitors,
			visitor{"fresh", plain, method, client(false, false)},
			visitor{"kept", plain, method, client(true, false)},
			visitor{"kept over TLS", secure, method, client(true, false)},
			visitor{"HTTP/2", secure, method, client(true, true)})
	}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	l.wg.Go(func() { l.run(ctx) })
	return l
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':'):] }

// run makes requests until ctx ends. One that is slow delays no other.
func (l *load) run(ctx context.Context) {
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	began := time.Now()
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(began) * rate / time.Second); n < due; n++ {
			request := n
			l.wg.Go(func() { l.ask(request, &l.visitors[request%len(l.visitors)]) })
		}
	}
}

// ask makes the request n.
func (l *load) ask(n int, v *visitor) {
	began := time.Now()
	err := v.ask(n)
	took := time.Since(began)
	l.asked.Add(1)
	l.note(took, fmt.Sprintf("%s %s, request %d at %s", v.name, v.method, n, began.Format("15:04:05.000")))
	if err != nil && l.failed.Add(1) <= 20 {
		l.t.Errorf("%s %s, request %d at %s: %v", v.name, v.method, n, began.Format("15:04:05.000"), err)
	}
}

// note keeps which request was the slowest.
func (l *load) note(took time.Duration, request string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took > l.slowest {
		l.slowest, l.slow = took, request
	}
}

func (v *visitor) ask(n int) error {
	path, sent := fmt.Sprintf("/%d", n), ""
	if v.method == "POST" {
		sent = strings.Repeat("x", n%4096)
	}
	req, err := http.NewRequest(v.method, v.url+path, strings.NewReader(sent))
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if want := path + " " + sent; resp.StatusCode != 200 || string(body) != want {
		return fmt.Errorf("got %d %s %.100q", resp.StatusCode, resp.Header.Get("Share-Error"), body)
	}
	return nil
}

// stop returns when all requests that were begun have ended.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	for _, v := range l.visitors {
		v.client.CloseIdleConnections()
	}
}
