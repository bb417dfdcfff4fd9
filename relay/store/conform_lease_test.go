package store

import (
	"errors"
	"maps"
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
	const ttl = time.Second
	ctx := t.Context()
	events := watch(t, s, "", 0)
	granted := time.Now()
	lost, kept := grant(t, s, ttl), grant(t, s, ttl)
	set(t, s, "lost", "", lost)
	set(t, s, "kept", "", kept)
	for _, key := range []string{"lost", "kept"} {
		if e := events.next(t); e.Key != key || e.Deleted {
			t.Fatalf("event %+v, want %s", e, key)
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
				t.Fatalf("renew after %v: %v", time.Since(granted), err)
			}
		}
		if time.Since(granted) > patience {
			t.Fatal("no lease has ended")
		}
	}
	if gone.Key != "lost" || !gone.Deleted || time.Since(granted) < ttl {
		t.Fatalf("after %v of %v: %+v", time.Since(granted), ttl, gone)
	}
	if err := s.Renew(ctx, lost); !errors.Is(err, ErrNotFound) {
		t.Errorf("renewed a lease that has ended: %v", err)
	}
	if gone = events.next(t); gone.Key != "kept" || !gone.Deleted || time.Since(renewed) < ttl {
		t.Fatalf("%v after it was renewed for %v: %+v", time.Since(renewed), ttl, gone)
	}
	if got := all(t, s); len(got) > 0 {
		t.Errorf("left %v", got)
	}
}
