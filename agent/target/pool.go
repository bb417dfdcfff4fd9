package target

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxIdle bounds the idle connections: as many visitors at once find one
	// waiting, and a soft limit of 1024 descriptors is not near.
	maxIdle = 256

	// keepIdle is how long a connection is kept idle. Node, Apache, uvicorn and
	// others close theirs after 5 s: ours is gone before.
	keepIdle = 4 * time.Second

	// keepSure is how long a connection may have been idle that carries a
	// request which cannot be sent twice: servers that close after as little as
	// 2 s do not catch it.
	keepSure = time.Second

	// maxTick is how often the pool looks at its connections, at least.
	maxTick = 250 * time.Millisecond
)

// A pool holds the target's HTTP/1.1 connections: the idle ones, the last used
// first, and those in use, which it gives up when a response head does not
// come. It looks at them only while there are any.
type pool struct {
	headerTimeout time.Duration
	tick          time.Duration
	start         time.Time
	now           atomic.Int64 // time since start at the last tick; never 0

	mu      sync.Mutex
	idle    []*conn     // guarded by mu; the last put back is last
	busy    []*conn     // guarded by mu
	timer   *time.Timer // guarded by mu; nil before the first connection
	ticking bool        // guarded by mu
	closed  bool        // guarded by mu
}

func newPool(headerTimeout time.Duration) *pool {
	p := &pool{
		headerTimeout: headerTimeout,
		tick:          min(maxTick, max(headerTimeout/8, time.Millisecond)),
		start:         time.Now(),
	}
	p.now.Store(1)
	return p
}

// take returns an idle connection for an exchange, nil if there is none. For
// one that cannot be repeated it returns only what was in use a moment ago.
// The caller tests whether it is alive, and puts it back or drops it.
func (p *pool) take(repeatable bool) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	if !repeatable && time.Duration(p.now.Load())-c.idleAt > keepSure {
		return nil
	}
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	p.addBusy(c)
	return c
}

// add takes in a new connection, which is in use; false if the pool is closed.
func (p *pool) add(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.addBusy(c)
	p.wind()
	return true
}

// put gives back a connection that another exchange may use, and reports
// whether it is kept; if not, the caller closes it.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeBusy(c)
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	c.reused = true
	c.idleAt = time.Duration(p.now.Load())
	p.idle = append(p.idle, c)
	return true
}

// drop forgets a connection in use; the caller closes it.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeBusy(c)
}

// close closes all connections, those in use with a reset.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle, busy := p.idle, slices.Clone(p.busy)
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
	for _, c := range busy {
		c.sock.reset()
	}
}

// await begins the wait for a response head on c, and moves it on when the
// target takes more of the request.
func (p *pool) await(c *conn) { c.waiting.Store(p.now.Load()) }

// progress moves the wait on, unless it is over.
func (p *pool) progress(c *conn) {
	if since := c.waiting.Load(); since > 0 {
		c.waiting.CompareAndSwap(since, p.now.Load())
	}
}

// arrived ends the wait, and reports whether that was in time.
func (p *pool) arrived(c *conn) bool { return c.waiting.Swap(0) != overdue }

// look is the timer: it resets connections whose response head is overdue and
// closes those idle for too long.
func (p *pool) look() {
	now := time.Since(p.start) + 1
	p.now.Store(int64(now))
	var late, old []*conn
	p.mu.Lock()
	for _, c := range p.busy {
		since := c.waiting.Load()
		if since > 0 && now-time.Duration(since) >= p.headerTimeout && c.waiting.CompareAndSwap(since, overdue) {
			late = append(late, c)
		}
	}
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool {
		if now-c.idleAt < c.keep {
			return false
		}
		old = append(old, c)
		return true
	})
	if p.ticking = !p.closed && len(p.busy)+len(p.idle) > 0; p.ticking {
		p.timer.Reset(p.tick)
	}
	p.mu.Unlock()
	for _, c := range late {
		c.sock.reset()
	}
	for _, c := range old {
		c.Close()
	}
}

// wind starts the timer if it does not run; mu is held.
func (p *pool) wind() {
	if p.ticking {
		return
	}
	p.ticking = true
	p.now.Store(int64(time.Since(p.start) + 1))
	if p.timer == nil {
		p.timer = time.AfterFunc(p.tick, p.look)
		return
	}
	p.timer.Reset(p.tick)
}

// addBusy notes that c is in use; mu is held.
func (p *pool) addBusy(c *conn) {
	c.slot = len(p.busy)
	p.busy = append(p.busy, c)
}

// removeBusy undoes addBusy; mu is held.
func (p *pool) removeBusy(c *conn) {
	last := len(p.busy) - 1
	moved := p.busy[last]
	p.busy[c.slot] = moved
	moved.slot = c.slot
	p.busy[last] = nil
	p.busy = p.busy[:last]
}
