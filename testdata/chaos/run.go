//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Run is the measure of a storm.
type Run struct {
	Seed     uint64
	Requests int           // at least; visitors go on until the last blow is over
	Visitors int           // at once
	Blows    int           // of each kind of fault
	Freeze   time.Duration // longest freeze
}

// Result is what a run left: both ledgers and the faults.
type Result struct {
	Visits  []Exchange
	Entries []Entry
	Faults  []Fault
}

// Do carries out the run on a world. The faults come in an order drawn from
// the seed, spread evenly over the requests.
func (r Run) Do(ctx context.Context, w *World) (Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		next, done     atomic.Int64
		open, answered atomic.Int64
		calm           atomic.Bool // no more blows will come
		visits         = make([][]Exchange, r.Visitors)
		visitors       sync.WaitGroup
	)
	for i := range r.Visitors {
		visitors.Go(func() {
			v := &Visitor{Addr: w.relayAt, Host: name + ".localhost"}
			defer v.Close()
			for failures := 0; ctx.Err() == nil; {
				id := int(next.Add(1))
				if id > r.Requests && calm.Load() {
					return
				}
				open.Add(1)
				e := v.Do(ctx, NewPlan(r.Seed, id))
				open.Add(-1)
				visits[i] = append(visits[i], e)
				done.Add(1)
				switch e.Outcome {
				case Whole:
					failures = 0
					answered.Store(e.Start.UnixNano())
				case Left:
				default:
					failures++
					backoff(ctx, failures)
				}
			}
		})
	}

	var res Result
	s := &storm{w, rand.New(rand.NewPCG(r.Seed, 0)), r.Freeze, &answered}
	var blows []Kind
	for range r.Blows {
		kinds := Kinds()
		s.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		blows = append(blows, kinds...)
	}
	var err error
	for i, kind := range blows {
		due := int64(r.Requests * (i + 1) / (len(blows) + 1))
		// A blow in a lull, while visitors wait after the last one, would
		// hit little.
		busy := int64(r.Visitors) * 7 / 8
		for (done.Load() < due || open.Load() < busy) && ctx.Err() == nil {
			pause(ctx, time.Millisecond)
		}
		f, failed := s.strike(ctx, kind)
		res.Faults = append(res.Faults, f)
		if failed != nil {
			err = failed
			stop(failed)
			break
		}
	}
	calm.Store(true)
	visitors.Wait()
	for _, v := range visits {
		res.Visits = append(res.Visits, v...)
	}
	file, failed := os.Open(w.Ledger())
	if failed != nil {
		return res, errors.Join(err, fmt.Errorf("open ledger: %w", failed))
	}
	defer file.Close()
	res.Entries, failed = ReadEntries(file)
	return res, errors.Join(err, failed, ctx.Err())
}

// backoff waits after a failure, longer after each: a visitor in a storm of
// errors does not make a storm of its own.
func backoff(ctx context.Context, failures int) {
	top := min(50*time.Millisecond<<min(failures, 10), 800*time.Millisecond)
	pause(ctx, top/2+rand.N(top/2))
}
