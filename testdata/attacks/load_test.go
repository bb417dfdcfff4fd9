//go:build linux

package attacks

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestQuietBesideLoaded has one tunnel carry all that it can beside a quiet one,
// whose slowest requests of a hundred must not take twice as long as when the same
// load goes through another relay: what the machine shares is not the relay's.
func TestQuietBesideLoaded(t *testing.T) {
	c := newCamp(t)
	beside, apart := c.pitch(t), c.pitch(t)
	beside.agent("neighbour")
	beside.agent("loud")
	apart.agent("loud")
	quiet := neighbourly(beside.relay.Doors["http"])
	defer quiet.CloseIdleConnections()
	// What else the machine does comes between, and makes it look worse alone:
	// so one right answer is enough.
	var ratio float64
	for try := range tries {
		var alone, shared []time.Duration
		for range scale(5, 1) {
			alone = append(alone, apart.under(quiet, time.Duration(scale(6, 2))*time.Second)...)
			shared = append(shared, beside.under(quiet, time.Duration(scale(6, 2))*time.Second)...)
		}
		a, b := p99(alone), p99(shared)
		ratio = float64(b) / float64(a)
		t.Logf("try %d: p99 of %d requests beside the load %v, with the load elsewhere %v: %.2f times",
			try, len(shared), b.Round(time.Microsecond), a.Round(time.Microsecond), ratio)
		if ratio <= 2 {
			return
		}
	}
	t.Errorf("p99 beside a loaded tunnel is %.1f times what it is with the load elsewhere, want 2 at most", ratio)
}

// tries is how often the load is tried.
const tries = 5

// pitch starts a relay that is not attacked.
func (c *camp) pitch(t *testing.T) *siege {
	s := &siege{T: t, camp: c, dir: t.TempDir()}
	s.start(c.bin, []string{"--http", "127.0.0.1:0"})
	return s
}

// under asks the quiet tunnel while the siege's loud one carries all it can.
func (s *siege) under(quiet *http.Client, lasts time.Duration) (took []time.Duration) {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Context(), lasts)
	defer stop()
	var wg sync.WaitGroup
	for i := range 18 {
		wg.Go(func() {
			client := neighbourly(s.relay.Doors["http"])
			defer client.CloseIdleConnections()
			path := "/"
			if i < 2 {
				path = "/much"
			}
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, "GET", "http://loud.localhost"+path, nil)
				if err != nil {
					s.Error(err)
					return
				}
				if resp, err := client.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		began := time.Now()
		if err := ask(quiet); err != nil {
			s.Errorf("the quiet tunnel: %v", err)
			break
		}
		took = append(took, time.Since(began))
	}
	wg.Wait()
	return took
}

// p99 is what 99 of 100 do not exceed.
func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}
