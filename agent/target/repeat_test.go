package target

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"share/tunnel"
)

// dying is a target whose first connections, dead of them, end with the request
// on them; came counts requests.
func dying(t *testing.T, scheme string, dead int64) (addr string, came *atomic.Int64) {
	came = new(atomic.Int64)
	type key struct{}
	srv := &http.Server{
		Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, key{}, c)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if came.Add(1) <= dead {
				reset(r.Context().Value(key{}).(net.Conn))
				return
			}
			io.WriteString(w, "alive")
		}),
	}
	srv.Protocols.SetHTTP1(scheme == "http")
	srv.Protocols.SetUnencryptedHTTP2(scheme == "h2c")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.Serve(ln)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return scheme + "://" + ln.Addr().String(), came
}

// A target that ends with a request on it, as one that is started again, has the
// request sent again if it is safe to repeat and the user wants it held.
func TestRepeatUnderHold(t *testing.T) {
	tests := []struct {
		name   string
		hold   time.Duration
		method string
		dead   int64
		want   tunnel.Cause // of the failure, 0 if there is none
		came   int64        // requests
	}{
		{"held", limit, "GET", 1, 0, 2},
		{"held twice", limit, "HEAD", 2, 0, 3},
		{"held too often", limit, "GET", 3, tunnel.TargetClosed, 3},
		{"not held", 0, "GET", 1, tunnel.TargetClosed, 1},
		{"may have arrived", limit, "POST", 1, tunnel.TargetClosed, 1},
	}
	for _, scheme := range []string{"http", "h2c"} {
		for _, tt := range tests {
			t.Run(scheme+" "+tt.name, func(t *testing.T) {
				addr, came := dying(t, scheme, tt.dead)
				r := newRig(t, addr, Config{Hold: tt.hold})
				a := r.ask(request(tt.method, "/"), "")
				if tt.want != 0 {
					failed(t, a, tt.want)
				} else if a.err != nil || a.status != 200 {
					t.Errorf("got %d, %v; want 200", a.status, a.err)
				}
				if got := came.Load(); got != tt.came {
					t.Errorf("%d requests came, want %d", got, tt.came)
				}
			})
		}
	}
}

// A target that dies of a request each time it is started is not asked for ever,
// whichever connection the request went out on.
func TestRepeatEnds(t *testing.T) {
	const enough = 10 // requests, after which the target lives
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	down := make(chan struct{}, 1)
	var came atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	// live takes connections until one brings a request, and dies of that.
	live := func(ln net.Listener) {
		defer ln.Close()
		defer context.AfterFunc(ctx, func() { ln.Close() })()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() {
				defer c.Close()
				defer stop()
				if _, err := head(bufio.NewReader(c)); err != nil {
					return
				}
				if came.Add(1) >= enough {
					io.WriteString(c, ok)
					return
				}
				ln.Close()
				reset(c)
			})
		}
	}
	wg.Go(func() {
		for {
			live(ln)
			select {
			case <-down:
			case <-ctx.Done():
				return
			}
			var err error
			if ln, err = net.Listen("tcp", addr); err != nil {
				return
			}
		}
	})
	r := newRig(t, addr, Config{Hold: limit, OnHealth: func(h Health) {
		if !h.Up && !h.LastUp.IsZero() {
			select {
			case down <- struct{}{}:
			default:
			}
		}
	}})
	wg.Go(func() { r.target.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	failed(t, r.ask(request("GET", "/"), ""), tunnel.TargetClosed)
	if got := came.Load(); got > maxTries {
		t.Errorf("%d requests came, want at most %d", got, maxTries)
	}
}

// A request whose connection died is not tried for ever where the next ones are cut
// before they take it.
func TestRepeatEndsInConnect(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			addr, came := dying(t, scheme, 1)
			r := newRig(t, addr, Config{Hold: limit})
			const enough = 20 // connects
			connect, tried := r.target.dialer.connect, 0
			r.target.dialer.connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if tried++; tried > 1 && tried < enough {
					return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNRESET)}
				}
				return connect(ctx, network, addr)
			}
			failed(t, r.ask(request("GET", "/"), ""), tunnel.TargetClosed)
			if got := came.Load(); got != 1 || tried > maxTries {
				t.Errorf("%d requests came, and %d connects were tried", got, tried)
			}
		})
	}
}

// A target that has begun to answer is not asked again.
func TestRepeatNotInformed(t *testing.T) {
	var came atomic.Int64
	interim := func(c net.Conn) {
		if _, err := head(bufio.NewReader(c)); err == nil && came.Add(1) == 1 {
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
		}
	}
	for scheme, s := range map[string]*server{
		"http": serve(t, interim),
		"h2c": framesH2(t, func(f *framed, stream uint32) {
			if came.Add(1) == 1 {
				f.fields(stream, false, ":status", "103", "link", "a")
			}
			f.conn.Close()
		}),
	} {
		t.Run(scheme, func(t *testing.T) {
			came.Store(0)
			r := newRig(t, scheme+"://"+s.addr, Config{Hold: limit})
			if a := r.ask(request("GET", "/"), ""); a.status != 502 {
				t.Errorf("got %d, %v; want 502", a.status, a.err)
			}
			if got := came.Load(); got != 1 {
				t.Errorf("%d requests came, want 1", got)
			}
		})
	}
}
