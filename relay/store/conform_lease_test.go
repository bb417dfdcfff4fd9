package store

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

func conformLease(t *testing.T, s Store) {
	ctx := t.Context()
	one, two := grant(t, s, time.Hour), grant(t, s, time.Hour)
	if one == 0 || two == 0 || one == two {
		t.Fatalf("leases %d and %d", one, two)
	}
	set(t, s, "one/a", "", one)
	set(t, s, "one/b", "", one)
	set(t, s, "two", "", two)
	set(t, s, "freed", "", one)
	set(t, s, "freed", "", 0)
	set(t, s, "moved", "", one)
	set(t, s, "moved", "", two)
	set(t, s, "deleted", "", one)
	if _, err := s.Commit(ctx, nil, []Write{{Key: "deleted", Delete: true}}); err != nil {
		t.Fatal(err)
	}
	set(t, s, "deleted", "again", 0)
	if e, err := s.Get(ctx, "one/a"); err != nil || e.Lease != one {
		t.Errorf("the lease of one/a is %d, %v; want %d", e.Lease, err, one)
	}
	for _, l := range []Lease{one, two} {
		if err := s.Renew(ctx, l); err != nil {
			t.Errorf("renew %d: %v", l, err)
		}
	}
	if err := s.Revoke(ctx, one); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"two": "", "freed": "", "moved": "", "deleted": "again"}
	if got := all(t, s); !maps.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	for what, err := range map[string]error{
		"renew an ended lease":  s.Renew(ctx, one),
		"revoke an ended lease": s.Revoke(ctx, one),
		"renew no lease":        s.Renew(ctx, 0),
		"revoke no lease":       s.Revoke(ctx, -1),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	writes := []Write{{Key: "x"}, {Key: "y", Lease: one}}
	if _, err := s.Commit(ctx, nil, writes); !errors.Is(err, ErrNotFound) {
		t.Errorf("written with an ended lease: %v", err)
	}
	if err := s.Revoke(ctx, two); err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"freed": "", "deleted": "again"}
	if got := all(t, s); !maps.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}

// conformExpiry has one lease that is renewed while another ends: neither may
// end early.
func conformExpiry(t *testing.T, s Store) {
	var err error
	// A machine that stalls for as long as a lease lasts gets longer ones.
	for _, ttl := range []time.Duration{time.Second, 5 * time.Second, 15 * time.Second} {
		if err = expires(t, s, ttl.String()+"/", ttl); err == nil {
			return
		}
	}
	t.Error(err)
}

// expires is conformExpiry with leases that last ttl, of entries under prefix.
func expires(t *testing.T, s Store, prefix string, ttl time.Duration) error {
	ctx := t.Context()
	events := watch(t, s, prefix, 0)
	granted := time.Now()
	lost, kept := grant(t, s, ttl), grant(t, s, ttl)
	for key, lease := range map[string]Lease{"lost": lost, "kept": kept} {
		if _, err := s.Commit(ctx, nil, []Write{{Key: prefix + key, Lease: lease}}); err != nil {
			return fmt.Errorf("set %s after %v: %w", key, time.Since(granted), err)
		}
		if e := events.next(t); e.Key != prefix+key || e.Deleted {
			return fmt.Errorf("event %+v, want %s", e, key)
		}
	}
	renewed := granted
	renewing := time.NewTicker(ttl / 10)
	defer renewing.Stop()
	var gone Event
	for waiting := true; waiting; {
		select {
		case gone = <-events.events:
			waiting = false
		case <-renewing.C:
			renewed = time.Now()
			if err := s.Renew(ctx, kept); err != nil {
				return fmt.Errorf("renew after %v: %w", time.Since(granted), err)
			}
		}
		if time.Since(granted) > ttl+patience {
			t.Fatal("no lease has ended")
		}
	}
	if gone.Key != prefix+"lost" || !gone.Deleted || time.Since(granted) < ttl {
		return fmt.Errorf("after %v of %v: %+v", time.Since(granted), ttl, gone)
	}
	if err := s.Renew(ctx, lost); !errors.Is(err, ErrNotFound) {
		t.Errorf("renewed a lease that has ended: %v", err)
	}
	if gone = events.next(t); gone.Key != prefix+"kept" || !gone.Deleted || time.Since(renewed) < ttl {
		return fmt.Errorf("%v after it was renewed for %v: %+v", time.Since(renewed), ttl, gone)
	}
	for key := range all(t, s) {
		if strings.HasPrefix(key, prefix) {
			t.Errorf("%s is left", key)
		}
	}
	return nil
}
