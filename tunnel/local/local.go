// Package local is how commands reach a process of share: a unix socket that only
// the user can open, and HTTP that ends in order.
package local

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// MaxPath is the longest path of a unix socket that every system takes (macOS has
// 104 bytes with its end), and the one it is made under.
const MaxPath = 102

// lastCall is how long what is under way may take to be answered once Serve is to
// end.
const lastCall = time.Second

// Unborn is the path that the socket at path is made under.
func Unborn(path string) string { return path + "~" }

// Listen listens at a unix socket that only the user can open. It gets its name
// once it has its mode, and once who connects is taken. The file stays when the
// listener is closed.
func Listen(path string) (net.Listener, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("the path of the socket %s has more than %d bytes", path, MaxPath)
	}
	ln, err := net.Listen("unix", Unborn(path))
	if err != nil {
		return nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err = os.Chmod(Unborn(path), 0o600); err == nil {
		err = os.Rename(Unborn(path), path)
	}
	if err != nil {
		ln.Close()
		os.Remove(Unborn(path))
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return ln, nil
}

// Serve answers at ln, which it closes, until ctx ends, and returns after all that
// it started has ended, handlers too: nil, or why ln failed. It calls leave once,
// before it closes anything; what is under way has until the end of leave's context.
// A request that comes after that is answered with 503.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener, leave func(context.Context)) error {
	var under sync.RWMutex // held by each request that is answered
	handler := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !under.TryRLock() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer under.RUnlock()
		handler.ServeHTTP(w, req)
	})
	ended := make(chan struct{})
	end := func() {
		defer close(ended)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCall)
		defer cancel()
		leave(last)
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	}
	stop := context.AfterFunc(ctx, end)
	err := srv.Serve(ln)
	if stop() {
		end()
	}
	<-ended
	under.Lock() // for good: what comes late is refused
	if ctx.Err() != nil {
		return nil
	}
	return err
}
