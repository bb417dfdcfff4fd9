package faults

import (
	"io"
	"net"
	"sync"
)

// A wire stands between an agent and a relay and can be broken.
type wire struct {
	ln net.Listener
	wg sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // of silenced, closed and upstream
	upstream string     // guarded by mu
	silenced bool       // guarded by mu
	closed   bool       // guarded by mu
	conns    []net.Conn // guarded by mu; both ends of each connection
}

// wire starts a wire to upstream; it ends with the case.
func (r *run) wire(upstream string) *wire {
	r.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatalf("wire: %v", err)
	}
	w := &wire{ln: ln, upstream: upstream}
	w.changed = sync.NewCond(&w.mu)
	w.wg.Go(w.serve)
	r.Cleanup(w.close)
	return w
}

func (w *wire) addr() string { return w.ln.Addr().String() }

func (w *wire) serve() {
	for {
		near, err := w.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.upstream)
		if err != nil {
			cut(near)
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		closed := w.closed
		w.mu.Unlock()
		if closed {
			near.Close()
			far.Close()
			return
		}
		w.wg.Go(func() { w.copy(near, far) })
		w.wg.Go(func() { w.copy(far, near) })
	}
}

// copy carries bytes from src to dst, unless the wire is silenced.
func (w *wire) copy(dst, src net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		w.mu.Lock()
		for w.silenced && !w.closed {
			w.changed.Wait()
		}
		w.mu.Unlock()
		if err == io.EOF {
			dst.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			cut(dst)
			return
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}

// take returns the connections so far and forgets them.
func (w *wire) take() []net.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	conns := w.conns
	w.conns = nil
	return conns
}

// cut ends every connection by RST, both ways.
func (w *wire) cut() {
	for _, c := range w.take() {
		cut(c)
	}
}

// fin ends every connection by FIN, both ways.
func (w *wire) fin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.(*net.TCPConn).CloseWrite()
	}
}

// silence stops all bytes both ways; no connection is closed.
func (w *wire) silence(on bool) {
	w.mu.Lock()
	w.silenced = on
	w.mu.Unlock()
	w.changed.Broadcast()
}

// close ends the wire and waits for its goroutines.
func (w *wire) close() {
	w.ln.Close()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.changed.Broadcast()
	for _, c := range w.take() {
		c.Close()
	}
	w.wg.Wait()
}
