package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLeaseRestart opens a store again while a lease is held: the lease then has
// its whole ttl, and no more.
func TestLeaseRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 10 * time.Second
		path := filepath.Join(t.TempDir(), "relay.db")
		b := reopen(t, path)
		l := grant(t, b, ttl)
		set(t, b, "a", "", l)
		time.Sleep(ttl - time.Second)
		shut(t, b)
		time.Sleep(time.Hour)
		b = reopen(t, path)
		time.Sleep(ttl - time.Second)
		synctest.Wait()
		if e, err := b.Get(t.Context(), "a"); err != nil || e.Lease != l {
			t.Fatalf("a lease ended early after a restart: %+v, %v", e, err)
		}
		if err := b.Renew(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl - time.Second)
		synctest.Wait()
		if _, err := b.Get(t.Context(), "a"); err != nil {
			t.Fatalf("a renewed lease ended early: %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := b.Get(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("the entry of an ended lease: %v", err)
		}
		shut(t, b)
		if got := all(t, reopen(t, path)); len(got) > 0 {
			t.Errorf("opened again, it has %v", got)
		}
	})
}

// TestLeaseMany ends more leases at once than one commit takes, and one later.
func TestLeaseMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openNew(t)
		for range endBatch + 10 {
			grant(t, b, time.Minute)
		}
		set(t, b, "late", "", grant(t, b, time.Hour))
		set(t, b, "soon", "", grant(t, b, time.Minute))
		time.Sleep(time.Minute)
		synctest.Wait()
		b.leases.mu.Lock()
		left := len(b.leases.held)
		b.leases.mu.Unlock()
		got := all(t, b)
		if _, ok := got["late"]; !ok || left != 1 || len(got) != 1 {
			t.Errorf("%d leases and %v are left", left, got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := all(t, b); len(got) > 0 {
			t.Errorf("%v is left", got)
		}
	})
}

func TestLeaseBound(t *testing.T) {
	b := openNew(t)
	for i := range MaxLeases {
		b.leases.add(Lease(i+1), time.Hour)
	}
	if _, err := b.Grant(t.Context(), time.Hour); err == nil || !strings.Contains(err.Error(), "100000 leases") {
		t.Fatalf("one lease too many: %v", err)
	}
	if err := b.Revoke(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	grant(t, b, time.Hour)
}

// TestLeaseClock looks for the monotonic reading that keeps a lease from a wall
// clock that is set.
func TestLeaseClock(t *testing.T) {
	b := openNew(t)
	l := grant(t, b, time.Hour)
	for _, what := range []string{"granted", "renewed", "loaded"} {
		switch what {
		case "renewed":
			if err := b.Renew(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		case "loaded":
			if err := b.load(); err != nil {
				t.Fatal(err)
			}
		}
		b.leases.mu.Lock()
		deadline := b.leases.held[l].deadline
		b.leases.mu.Unlock()
		if !strings.Contains(deadline.String(), " m=") {
			t.Errorf("%s: the deadline %v counts the wall clock", what, deadline)
		}
	}
}
