package edge

import (
	"net"
	"sync"
)

// A queue is a net.Listener of connections that others accepted.
type queue struct {
	conns  chan net.Conn
	done   chan struct{}
	closed sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), done: make(chan struct{})}
}

// put hands nc over; it is closed if nobody takes it any more.
func (q *queue) put(nc net.Conn) {
	select {
	case q.conns <- nc:
	case <-q.done:
		nc.Close()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case nc := <-q.conns:
		return nc, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.closed.Do(func() { close(q.done) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.TCPAddr{} }
