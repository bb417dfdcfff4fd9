package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"share/testdata/bench/delay"
)

// The link of a home: what a small request waits for there is what bulk has
// put into buffers before it.
const (
	homeTrip = 40 * time.Millisecond
	homeRate = 20_000_000 // bits a second

	// bulkTransfers run beside the small requests.
	bulkTransfers = 4

	// askEvery is when small requests are sent, whether or not those before
	// have been answered.
	askEvery = 100 * time.Millisecond

	// besideWarm is for buffers to fill.
	besideWarm = 1500 * time.Millisecond
)

// beside is a trial: small requests beside bulk transfers, on a link like a
// home's.
func beside(bulk func(context.Context, endpoint, *atomic.Int64) error) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		f, err := f.apart()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		// The sink takes uploads and answers, so all go over one link.
		to, err := f.through(ctx, r.name, delay.Config{OneWay: homeTrip / 2, Rate: homeRate}, f.sinkAddr)
		if err != nil {
			return nil, err
		}
		carrying, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		var moved atomic.Int64
		failed := make(chan error, bulkTransfers)
		for range bulkTransfers {
			wg.Go(func() {
				if err := bulk(carrying, to, &moved); carrying.Err() == nil {
					failed <- fmt.Errorf("a bulk transfer ended: %w", err)
				}
			})
		}
		if err := pause(ctx, besideWarm); err != nil {
			return nil, err
		}
		// One of them is 0: bulk goes one way.
		before, began := moved.Load()+f.sunk.Load(), time.Now()
		trips, err := asks(ctx, to, f.plan.Beside)
		bulkRate := float64(moved.Load()+f.sunk.Load()-before) * 8 / 1e6 / time.Since(began).Seconds()
		select {
		case err := <-failed:
			return nil, err
		default:
		}
		if err != nil {
			return nil, err
		}
		return figures{
			"p50":   quantile(trips, 0.5),
			"p90":   quantile(trips, 0.9),
			"worst": quantile(trips, 1),
			"bulk":  bulkRate,
		}, nil
	}
}

// asks sends a small request each askEvery for that long, and returns what
// each took, in round trips.
func asks(ctx context.Context, to endpoint, length time.Duration) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	n := int(length / askEvery)
	trips, errs := make([]float64, n), make([]error, n)
	var wg sync.WaitGroup
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for i := range n {
		wg.Go(func() {
			began := time.Now()
			got, err := fetch(ctx, to, "")
			if err == nil && got != int64(len(payload)) {
				err = fmt.Errorf("GET / brought %d bytes instead of %d", got, len(payload))
			}
			trips[i], errs[i] = float64(time.Since(began))/float64(homeTrip), err
		})
		<-tick.C
	}
	wg.Wait()
	return trips, errors.Join(errs...)
}

// downloading fetches bulk until ctx ends.
func downloading(ctx context.Context, to endpoint, moved *atomic.Int64) error {
	_, err := fetchBy(ctx, to, "big", func(r io.Reader) (int64, error) {
		return discard(counted{r, moved})
	})
	return err
}

// uploading sends bulk until ctx ends.
func uploading(ctx context.Context, to endpoint, _ *atomic.Int64) error {
	conn, done, err := dial(ctx, to)
	if err != nil {
		return err
	}
	defer done()
	if _, err := fmt.Fprintf(conn, "POST /up HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", to.host, int64(1)<<40); err != nil {
		return err
	}
	for zeros := make([]byte, 16<<10); ; {
		if _, err := conn.Write(zeros); err != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
