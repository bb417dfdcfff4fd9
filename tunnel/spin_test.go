package tunnel

import (
	"testing"
	"time"
	"context"
	"sync"
)

func TestSpin(t *testing.T) {
	for _, how := range []string{"conn", "relay", "agent"} {
		for _, n := range []int{10, 250, 1000, 2000} {
			a, r := connPair(t)
			var mu sync.Mutex
			in := 0
			agent, relay := pair(t, a, r, func(x *Exchange) {
				mu.Lock(); in++; mu.Unlock()
				for {
					if _, err := x.Data(); err != nil { return }
				}
			})
			var wg sync.WaitGroup
			for range n {
				x, err := relay.Open(context.Background())
				if err != nil { t.Fatal(err) }
				x.SendRequest(&Request{ContentLength: -1})
				x.Flush()
				wg.Go(func() { x.ReceiveResponse(); x.Close() })
			}
			until(t, "in", func() bool { mu.Lock(); defer mu.Unlock(); return in == n })
			start := time.Now()
			switch how {
			case "conn": a.Close()
			case "relay": relay.Close()
			case "agent": agent.Close()
			}
			<-agent.Done()
			d1 := time.Since(start)
			<-relay.Done()
			d2 := time.Since(start)
			wg.Wait()
			t.Log(how, n, d1, d2, time.Since(start))
		}
	}
}
