package relay

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryEvery is how often memory is looked at.
	memoryEvery = 100 * time.Millisecond

	// Of the budget, in percent: from fullPercent on it is used up, until use
	// has fallen below roomPercent. The runtime keeps garbage below
	// garbagePercent; the rest is for what it does not count, such as the
	// program itself.
	roomPercent    = 72
	fullPercent    = 78
	garbagePercent = 88

	// A part of the budget each is what the windows of sessions may take when
	// they grow, what visitors of HTTP/2 may send that nobody has read, and what
	// of one session's exchanges may wait to be read.
	windowPart = 16
	uploadPart = 16
	unreadPart = 8

	// LeastMemory is the smallest budget that a relay works with.
	LeastMemory = 64 << 20
)

// watchMemory notes whether the memory budget is used up, until ctx ends.
func (r *Relay) watchMemory(ctx context.Context) {
	size := r.cfg.Memory
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	debug.SetMemoryLimit(min(before, size/100*garbagePercent))
	ticker := time.NewTicker(memoryEvery)
	defer ticker.Stop()
	for use := newUse(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		used := use.bytes()
		was := r.budget.full.Load()
		full := isFull(was, used, size)
		if full == was {
			continue
		}
		r.budget.full.Store(full)
		if full {
			r.log.Warn("memory is used up: nothing new begins", "used", used, "budget", size)
		} else {
			r.log.Info("there is memory again", "used", used, "budget", size)
		}
	}
}

// isFull decides whether a budget is used up that was, or was not.
func isFull(was bool, used, size int64) bool {
	if was {
		return used >= size/100*roomPercent
	}
	return used >= size/100*fullPercent
}

// A use asks the runtime for the memory that is in use.
type use struct{ samples []metrics.Sample }

func newUse() *use {
	return &use{[]metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}}
}

// bytes is what the process has of the system, less what the heap could give
// back: garbage is no use. What is live was found out by the last collection,
// which comes the sooner the more there is.
func (u *use) bytes() int64 {
	metrics.Read(u.samples)
	value := func(i int) int64 { return int64(u.samples[i].Value.Uint64()) }
	heap := value(1) + value(2) + value(3) + value(4)
	return value(0) - heap + value(5)
}
