package target

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
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
