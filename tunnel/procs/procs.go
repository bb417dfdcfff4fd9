// Package procs runs Go code on no more processors than it keeps busy.
//
// A program that forwards is woken by every packet, has little to do each
// time, and then waits. With processors to spare the scheduler answers each
// wake-up by waking another thread to look for work, which finds none, and
// connections wander between caches: that doubles what a lone request costs.
// So a process begins on one processor and takes more when that is full.
package procs

import (
	"context"
	"os"
	"runtime"
	"time"
)

const (
	// every is how often the use of processors is looked at.
	every = 100 * time.Millisecond

	// full is the use of a processor above which there is no room for a burst.
	full = 0.8

	// spare is the use of one processor less below which that one is enough.
	spare = 0.6

	// patience is for how many looks in a row fewer processors must be enough
	// before one is given up: taking and giving stops the program for a moment.
	patience = 20
)

// Follow makes GOMAXPROCS follow the load until ctx ends, between one and what
// it is now: a limit of the process's cgroup that changes later is not seen. It
// does nothing where the environment sets GOMAXPROCS, or the system does not
// say what the process uses.
func Follow(ctx context.Context) {
	limit := runtime.GOMAXPROCS(0)
	used, ok := cpuTime()
	if limit == 1 || !ok || os.Getenv("GOMAXPROCS") != "" {
		return
	}
	go follow(ctx, limit, used) // ended by ctx
}

func follow(ctx context.Context, limit int, used time.Duration) {
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(limit)
	g := governor{limit: limit, procs: 1}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// Not the tick's time, which says when it was due.
		now := time.Now()
		total, _ := cpuTime()
		if n := g.next((total - used).Seconds() / now.Sub(last).Seconds()); n != runtime.GOMAXPROCS(0) {
			runtime.GOMAXPROCS(n)
		}
		last, used = now, total
	}
}

// A governor decides how many processors there should be.
type governor struct {
	limit int
	procs int
	low   int // looks in a row at which fewer would do
}

// next returns the number of processors for a process that has kept so many
// busy since the last look.
func (g *governor) next(busy float64) int {
	switch {
	case busy > full*float64(g.procs):
		g.procs, g.low = min(2*g.procs, g.limit), 0
	case g.procs > 1 && busy < spare*float64(g.procs-1):
		if g.low++; g.low == patience {
			g.procs, g.low = g.procs-1, 0
		}
	default:
		g.low = 0
	}
	return g.procs
}
