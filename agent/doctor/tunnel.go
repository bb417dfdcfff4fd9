package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"share/agent"
	"share/agent/target"
	"share/tunnel/cmdline"
)

const (
	// readyTimeout bounds the wait for a tunnel's URL: a session, and the request
	// that is to come back.
	readyTimeout = 15 * time.Second

	// flowTime is how long bodies flow in each direction, and maxFlow how many
	// bytes at most.
	flowTime = 2 * time.Second
	maxFlow  = 256 << 20
)

// checkTunnel shares a target of its own by a random name, and measures what flows
// through it.
func (w *way) checkTunnel(ctx context.Context) []cmdline.Result {
	const check, up, down cmdline.Check = "tunnel", "throughput up", "throughput down"
	f, err := newFlow(ctx)
	if err != nil {
		return []cmdline.Result{check.Skipped("this machine does not let a target listen on loopback: %v", err)}
	}
	defer f.close()
	ready := make(chan agent.Event, 1)
	cfg := w.cfg
	cfg.Target, cfg.Random, cfg.StateDir, cfg.Grace = target.Config{Address: f.address}, true, "", -1
	cfg.OnEvent = func(e agent.Event) {
		if e.Kind == agent.EventReady {
			select {
			case ready <- e:
			default: // another session after the first
			}
		}
	}
	a, err := agent.New(cfg)
	if err != nil {
		return []cmdline.Result{failedBy(check, err)}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	wg.Go(func() { ended <- a.Run(ctx) })
	select {
	case e := <-ready:
		if !e.Verified {
			return []cmdline.Result{check.Warning("visitors who are elsewhere may reach it; if not, the relay's owner has share relay doctor", "%s is open, but no request comes back through it: %s", e.URL, e.Reason)}
		}
		client := w.look.Visitor()
		return []cmdline.Result{
			check.OK("%s is open, and a request has come back through it", e.URL),
			measured(up, "what a visitor sends", func() (int64, time.Duration, error) { return f.upload(ctx, client, e.URL) }),
			measured(down, "what a visitor gets", func() (int64, time.Duration, error) { return f.download(ctx, client, e.URL) }),
		}
	case err := <-ended:
		return []cmdline.Result{failedBy(check, err)}
	case <-time.After(readyTimeout):
		return []cmdline.Result{check.Failed("see the relay's log, or ask its owner", "the relay has given no URL within %v", readyTimeout)}
	}
}

// failedBy is a check that failed by what ended an agent.
func failedBy(check cmdline.Check, err error) cmdline.Result {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return check.Failed(e.Hint, "%s", e.Message)
	}
	return check.Skipped("it was interrupted")
}

// measured says how fast bytes flow. They go from here to the relay and back, as the
// visitor and the target are both here.
func measured(check cmdline.Check, what string, flow func() (int64, time.Duration, error)) cmdline.Result {
	n, took, err := flow()
	if err == nil && (n == 0 || took <= 0) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return check.Failed("see what the network does with large bodies", "of %s, %d bytes have arrived: %v", what, n, plain(err))
	}
	return check.OK("%s of %s, which goes to the relay and comes back", rate(n, took), what)
}

// A flow is a target that gives bytes and takes them, to those who know its path.
type flow struct {
	address target.Address
	path    string
	server  *http.Server
	serves  sync.WaitGroup
	taken   atomic.Int64 // bytes of uploads
}

// newFlow listens on loopback until close, or the end of ctx.
func newFlow(ctx context.Context) (*flow, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &flow{path: "/" + rand.Text()}
	f.address = target.Address{Scheme: target.HTTP, Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
	f.server = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx }}
	f.serves.Go(func() { f.server.Serve(ln) }) // close ends it
	return f, nil
}

func (f *flow) close() {
	f.server.Close()
	f.serves.Wait()
}

// ServeHTTP takes a body, or gives one that ends when its visitor has left.
func (f *flow) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != f.path {
		http.NotFound(rw, r)
		return
	}
	if r.Method == http.MethodPost {
		_, err := io.Copy(&counter{&f.taken}, r.Body)
		if err == nil {
			fmt.Fprint(rw, f.taken.Load())
		}
		return
	}
	io.Copy(rw, noise(time.Now().Add(2*flowTime)))
}

// download gets bytes for a time, and returns how many came in which.
func (f *flow) download(ctx context.Context, client *http.Client, url string) (int64, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+f.path, nil)
	if err != nil {
		return 0, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("the answer is %s", resp.Status)
	}
	began := time.Now()
	defer time.AfterFunc(flowTime, cancel).Stop()
	n, err := io.Copy(io.Discard, resp.Body)
	if errors.Is(err, context.Canceled) {
		err = nil // the time is over
	}
	return n, time.Since(began), err
}

// upload sends bytes for a time, and returns how many the target has got in which.
func (f *flow) upload(ctx context.Context, client *http.Client, url string) (int64, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, flowTime+timeout)
	defer cancel()
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+f.path, noise(began.Add(flowTime)))
	if err != nil {
		return 0, 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return f.taken.Load(), time.Since(began), err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("the answer is %s", resp.Status)
	}
	return f.taken.Load(), time.Since(began), nil
}

// noise gives bytes that do not compress until a time, maxFlow at most.
func noise(until time.Time) io.Reader {
	block := make([]byte, 32<<10)
	rand.Read(block) // never fails (crypto/rand)
	return &noisy{block: block, until: until}
}

type noisy struct {
	block []byte
	until time.Time
	given int
}

func (r *noisy) Read(p []byte) (int, error) {
	if r.given >= maxFlow || !time.Now().Before(r.until) {
		return 0, io.EOF
	}
	n := copy(p, r.block)
	r.given += n
	return n, nil
}

// A counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
