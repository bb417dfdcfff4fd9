//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

// target answers exchanges as their plans say and keeps its ledger.
type target struct {
	mu     sync.Mutex
	ledger *os.File              // appended to under mu
	conns  map[net.Conn]struct{} // guarded by mu
}

// ServeTarget answers at addr, and appends to the ledger file, until ctx
// ends. Each receive from reset makes it reset all its connections.
func ServeTarget(ctx context.Context, addr, ledger string, reset <-chan os.Signal) error {
	file, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	defer file.Close()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	t := &target{ledger: file, conns: map[net.Conn]struct{}{}}
	srv := &http.Server{Handler: t, ConnState: t.track}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-reset:
				t.reset()
			case <-ctx.Done():
				return
			}
		}
	})
	err = srv.Serve(ln)
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (t *target) track(c net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch state {
	case http.StateNew:
		t.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(t.conns, c)
	}
}

func (t *target) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		abort(c)
	}
}

// abort closes a connection with RST.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a closed one needs none
	}
	_ = c.Close()
}

func (t *target) log(e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := e.WriteTo(t.ledger); err != nil {
		panic(err) // a target without its ledger proves nothing
	}
}

func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seed, badSeed := strconv.ParseUint(r.FormValue("seed"), 10, 64)
	id, badID := strconv.Atoi(r.FormValue("id"))
	p := NewPlan(seed, id)
	if badSeed != nil || badID != nil || r.Method != p.Method {
		http.Error(w, "no such plan", http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Exchange", strconv.Itoa(id))
	if p.Method == "POST" {
		t.take(w, r, p)
		return
	}
	t.log(Entry{Verb: Asked, ID: id})
	switch p.Frame {
	case Closed:
		t.giveClosed(w, r, p)
		return
	case Length:
		w.Header().Set("Content-Length", strconv.FormatInt(p.Size, 10))
	case Chunked:
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // what fails shows in the next write
	}
	if r.Method == http.MethodHead {
		return
	}
	if err := send(r.Context(), w, p); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// take reads a POST's body and answers with its digest. The entry is written
// before the answer: whoever sees a success finds it in the ledger.
func (t *target) take(w http.ResponseWriter, r *http.Request, p Plan) {
	t.log(Entry{Verb: Begun, ID: p.ID})
	got, _, err := digest(r.Body)
	if err != nil {
		t.log(Entry{Verb: Broken, ID: p.ID})
		panic(http.ErrAbortHandler)
	}
	t.log(Entry{Verb: Taken, ID: p.ID, Digest: got})
	io.WriteString(w, got)
}

// giveClosed answers with a body that only the connection's end ends. Until
// it is whole the connection is set to end with RST, whoever ends it.
func (t *target) giveClosed(w http.ResponseWriter, r *http.Request, p Plan) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	tcp := conn.(*net.TCPConn)
	if err := tcp.SetLinger(0); err != nil {
		return
	}
	fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Exchange: %d\r\n\r\n", p.ID)
	if send(r.Context(), buf, p) == nil && buf.Flush() == nil {
		_ = tcp.SetLinger(-1)
	}
}

// send writes the plan's body, with its pause in the middle.
func send(ctx context.Context, w io.Writer, p Plan) error {
	body := p.Body()
	if _, err := io.CopyN(w, body, p.Size/2); err != nil {
		return err
	}
	if p.Pause > 0 {
		if f, ok := w.(interface{ Flush() error }); ok {
			if err := f.Flush(); err != nil {
				return err
			}
		} else if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		pause(ctx, p.Pause)
	}
	_, err := io.Copy(w, body)
	return err
}
