package acme

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"share/testdata/pebble"
)

// What strangers ask for starts no order, whatever they call it, and leaves
// nothing behind.
func TestUnwantedHosts(t *testing.T) {
	_, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	var asked atomic.Int64
	k := keep(t, ca, t.TempDir(), failing{}, func(string) bool { asked.Add(1); return false }, unhurried)
	for _, name := range k.fixed {
		until(t, "it runs", func() bool { return k.looked(name) })
	}
	before := ca.Orders()
	const hosts = 10_000
	began := time.Now()
	for i := range hosts {
		if pair, err := k.Certificate(hello(fmt.Sprintf("x%d.other.test", i))); pair != nil || err == nil {
			t.Fatalf("host %d: %v, %v", i, pair, err)
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	k.mu.Lock()
	known := len(k.hosts)
	k.mu.Unlock()
	if asked.Load() != hosts || known != 2 {
		t.Errorf("of %d hosts %d were asked for, and with the fixed ones %d are known", hosts, asked.Load(), known)
	}
	k.stop()
	if after := ca.Orders(); after != before {
		t.Errorf("there are %d orders more", after-before)
	}
}

// unhurried lets the domain's own orders, which fail, be no more than one each.
func unhurried(c *Certificates) { c.pause = func(int) time.Duration { return time.Hour } }

// Even where agents hold many names, orders are no more often than a CA bears,
// and what failed is not tried again at once.
func TestOrderRate(t *testing.T) {
	identity, err := pebble.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	nobody := &pebble.CA{URL: "https://127.0.0.1:1/dir", Identity: identity}
	k := keep(t, nobody, t.TempDir(), nil, func(string) bool { return true }, unhurried)
	until(t, "it runs", func() bool { return k.looked("share.test") })
	for range 2 {
		var wg sync.WaitGroup
		for i := range 2 * orderBurst {
			wg.Go(func() {
				if pair, err := k.demand(t.Context(), fmt.Sprintf("x%d.share.test", i)); pair != nil || err == nil {
					t.Errorf("host %d: %v, %v", i, pair, err)
				}
			})
		}
		wg.Wait()
	}
	k.stop()
	ordered, refused := 0, 0
	for line := range strings.Lines(k.log.String()) {
		switch {
		case !strings.Contains(line, "there is no certificate") || strings.Contains(line, "host=share.test"):
		case strings.Contains(line, errTooMany.Error()):
			refused++
		case strings.Contains(line, "connection refused"):
			ordered++
		}
	}
	if ordered != orderBurst || refused != orderBurst {
		t.Errorf("of %d hosts %d were ordered for and %d were too many; want %d each", 2*orderBurst, ordered, refused, orderBurst)
	}
}

// Before it runs, and for a proof that nobody wants, there is nothing to show.
func TestNothingToShow(t *testing.T) {
	c, err := New(Config{Domain: "share.test", Directory: "https://ca.test/dir"})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"share.test", "web.share.test", "other.test", ""} {
		if pair, err := c.Certificate(hello(h)); pair != nil || err == nil {
			t.Errorf("%q: %v, %v", h, pair, err)
		}
	}
	if pair, err := c.Certificate(hello("share.test", Protocol)); pair != nil || err == nil {
		t.Errorf("a proof: %v, %v", pair, err)
	}
	if got := c.Expiry(); !got.IsZero() {
		t.Errorf("what there is not ends at %v", got)
	}
	if _, ok := c.Proof("/.well-known/acme-challenge/x"); ok {
		t.Error("a proof over HTTP")
	}
}
