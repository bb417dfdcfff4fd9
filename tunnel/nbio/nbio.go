// Package nbio reads and writes stream connections at the least cost.
//
// A socket of the net package does not block, so a system call on it takes a
// few microseconds. Package net tells the scheduler of each all the same,
// which then looks for calls that last: under load that is a tenth of a
// process's time. Here a call is just made where the system allows it.
package nbio

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// A Conn is a TCP or unix connection. Its methods are those of the connection
// that it was made of, and may be called from any goroutine.
type Conn struct {
	net.Conn
	raw   syscall.RawConn
	read  half
	write half
}

// A half is one direction of a connection, and the arguments and results of
// the attempt under way.
type half struct {
	mu  sync.Mutex
	try func(fd uintptr) bool
	p   []byte // guarded by mu, as is all below
	q   []byte // what a Write sends behind p
	old []byte // what a Read returns first
	n   int
	err error

	now     bool // the attempt does not wait
	unpaced bool // unpace was called
	moved   int  // bytes since the last yield

	held *[]byte // what waits for Uncork; nil without Cork
}

// paceFrom is from where on a write may be paced.
const paceFrom = 16 << 10

// yieldAfter is how many bytes are moved before others may run: what takes a few
// ten microseconds.
const yieldAfter = 256 << 10

// corkBuffer is how much waits for Uncork.
const corkBuffer = 128 << 10

var corkBuffers = sync.Pool{New: func() any { b := make([]byte, 0, corkBuffer); return &b }}

// New returns a Conn over c, which it owns from here on; c itself if that is
// no *net.TCPConn or *net.UnixConn or the system cannot try it.
func New(c net.Conn) net.Conn {
	if !canTry {
		return c
	}
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return c // what is built on one may read in a way of its own
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c // it is closed, as its first use will tell
	}
	s := &Conn{Conn: c, raw: raw}
	s.read.try = s.read.tryRead
	s.write.try = s.write.tryWrite
	return s
}

// Read reads what there is, and waits if there is nothing.
func (c *Conn) Read(p []byte) (int, error) { return c.receive(p, false) }

// ReadNow is Read, and fails with os.ErrDeadlineExceeded instead of waiting.
func (c *Conn) ReadNow(p []byte) (int, error) { return c.receive(p, true) }

func (c *Conn) receive(p []byte, now bool) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h := &c.read
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.old) > 0 {
		n := copy(p, h.old)
		if h.old = h.old[n:]; len(h.old) == 0 {
			h.old = nil
		}
		return n, nil
	}
	h.p, h.n, h.err, h.now = p, 0, nil, now
	err := c.raw.Read(h.try)
	h.p = nil
	h.yield()
	return h.n, c.outcome("read", err, h.err)
}

// yield lets others run once in a while. A call that the scheduler does not know
// of is no reason for it to do so by itself: one connection whose bytes keep
// coming would hold a processor for 10 ms at a time. mu is held.
func (h *half) yield() {
	if h.moved += h.n; h.moved >= yieldAfter {
		h.moved = 0
		runtime.Gosched()
	}
}

// Unread gives p back, which was read to look at it: reads return it first. It
// keeps p.
func (c *Conn) Unread(p []byte) {
	c.read.mu.Lock()
	defer c.read.mu.Unlock()
	c.read.old = p
}

// tryRead reads once, and reports whether there is nothing to wait for.
func (h *half) tryRead(fd uintptr) bool {
	h.n, h.err = read(fd, h.p)
	switch {
	case h.err == syscall.EAGAIN && h.now:
		h.err = os.ErrDeadlineExceeded
	case h.err == syscall.EAGAIN:
		return false
	case h.err == nil && h.n == 0:
		h.err = io.EOF
	}
	return true
}

// Write writes all of p, or returns why it cannot and how much of it went.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteBoth(p, nil) }

// WriteBoth is Write of p and then q, in one system call where it can.
func (c *Conn) WriteBoth(p, q []byte) (int, error) {
	if len(p)+len(q) == 0 {
		return 0, nil
	}
	h := &c.write
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return c.send(p, q)
	}
	if len(*h.held)+len(p)+len(q) > corkBuffer {
		if err := c.sendHeld(); err != nil {
			return 0, err
		}
	}
	if len(p)+len(q) > corkBuffer {
		return c.send(p, q)
	}
	*h.held = append(append(*h.held, p...), q...)
	return len(p) + len(q), nil
}

// sendHeld sends what waits for Uncork. The write half's mu is held.
func (c *Conn) sendHeld() error {
	held := c.write.held
	if len(*held) == 0 {
		return nil
	}
	_, err := c.send(*held, nil)
	*held = (*held)[:0]
	return err
}

// send sends p and then q. The write half's mu is held.
func (c *Conn) send(p, q []byte) (int, error) {
	h := &c.write
	if !h.unpaced && len(p)+len(q) >= paceFrom {
		h.unpaced = true
		unpace(c.Conn, c.raw)
	}
	h.p, h.q, h.n, h.err = p, q, 0, nil
	err := c.raw.Write(h.try)
	h.p, h.q = nil, nil
	h.yield()
	return h.n, c.outcome("write", err, h.err)
}

// Cork makes writes wait in memory, 128 KiB at most, until Uncork: for a layer
// that makes many of one, as TLS does.
func (c *Conn) Cork() {
	c.write.mu.Lock()
	defer c.write.mu.Unlock()
	if c.write.held == nil {
		c.write.held = corkBuffers.Get().(*[]byte)
	}
}

// Uncork sends what waits as one, and returns why it cannot.
func (c *Conn) Uncork() error {
	h := &c.write
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return nil
	}
	err := c.sendHeld()
	corkBuffers.Put(h.held)
	h.held = nil
	return err
}

// tryWrite writes until all is written or there is no room.
func (h *half) tryWrite(fd uintptr) bool {
	for len(h.p)+len(h.q) > 0 {
		var n int
		var err error
		switch {
		case len(h.q) == 0:
			n, err = write(fd, h.p)
		case len(h.p) == 0:
			n, err = write(fd, h.q)
		default:
			n, err = writeBoth(fd, h.p, h.q)
		}
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			h.err = err
			return true
		}
		h.n += n
		k := min(n, len(h.p))
		h.p, h.q = h.p[k:], h.q[n-k:]
	}
	return true
}

// outcome is the error of a call in the form of package net's: err is the
// connection's, which took no attempt, failed that of the attempt.
func (c *Conn) outcome(op string, err, failed error) error {
	errno, isErrno := failed.(syscall.Errno)
	switch {
	case err != nil:
		if oe, ok := errors.AsType[*net.OpError](err); ok {
			err = oe.Err
		}
	case isErrno:
		err = os.NewSyscallError(op, errno)
	default:
		return failed
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// CloseWrite ends this side's direction.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger is that of net.TCPConn.
func (c *Conn) SetLinger(seconds int) error {
	if sl, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return sl.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// SyscallConn makes a Conn a syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }
