package dns

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxConns bounds the connections over TCP; tcpRead, tcpIdle and tcpWrite
	// bound the silence of who asks.
	maxConns = 100
	tcpRead  = 2 * time.Second
	tcpIdle  = 5 * time.Second
	tcpWrite = 2 * time.Second

	// acceptPause is how long no connection is taken for want of descriptors.
	acceptPause = 50 * time.Millisecond
)

// A queue has maxConns connections at a time. One more ends the one that came
// first: a question takes moments, and who only holds connections keeps nobody
// else away.
type queue struct {
	net.Listener
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	conns []*queued // guarded by mu; in the order in which they came
}

// A queued connection waits a while at most for who does not read, and then ends.
type queued struct {
	net.Conn
	queue *queue
}

func newQueue(ln net.Listener) *queue { return &queue{Listener: ln, closed: make(chan struct{})} }

// Accept takes the next connection. It waits a little before it returns an error
// that may pass.
func (q *queue) Accept() (net.Conn, error) {
	nc, err := q.Listener.Accept()
	if err != nil {
		if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, net.ErrClosed) {
			select {
			case <-time.After(acceptPause):
			case <-q.closed:
			}
		}
		return nil, err
	}
	c := &queued{nc, q}
	var first *queued
	q.mu.Lock()
	if len(q.conns) >= maxConns {
		first = q.conns[0]
		q.conns = q.conns[1:]
	}
	q.conns = append(q.conns, c)
	q.mu.Unlock()
	if first != nil {
		first.Conn.Close()
	}
	return c, nil
}

// Close ends Accept. The connections stay.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return q.Listener.Close()
}

// cut ends the connections there are.
func (q *queue) cut() {
	q.mu.Lock()
	conns := q.conns
	q.conns = nil
	q.mu.Unlock()
	for _, c := range conns {
		c.Conn.Close()
	}
}

func (c *queued) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(tcpWrite)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.Conn.Close() // the library would go on behind half an answer
	}
	return n, err
}

func (c *queued) Close() error {
	c.queue.mu.Lock()
	c.queue.conns = slices.DeleteFunc(c.queue.conns, func(other *queued) bool { return other == c })
	c.queue.mu.Unlock()
	return c.Conn.Close()
}
