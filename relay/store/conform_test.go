package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEngines holds every engine to what Store promises. A new one is added
// here; what is its own, as a restart, it tests itself.
func TestEngines(t *testing.T) {
	for name, open := range map[string]func(*testing.T) Store{
		"bolt":   func(t *testing.T) Store { return openNew(t) },
		"lender": func(t *testing.T) Store { return lenderOf(t, filepath.Join(t.TempDir(), "relay.db")) },
	} {
		t.Run(name, func(t *testing.T) { conform(t, open) })
	}
}

// conform tests an engine; open returns an empty store that the test closes.
func conform(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"get": conformGet, "range": conformRange, "bounds": conformBounds, "checks": conformChecks,
		"race": conformRace, "lease": conformLease, "expiry": conformExpiry, "watch": conformWatch,
		"now": conformNow, "snapshot": conformSnapshot, "backup": conformBackup, "ended": conformEnded, "closed": conformClosed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func conformGet(t *testing.T, s Store) {
	ctx := t.Context()
	if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an absent key: %v", err)
	}
	last := int64(0)
	for _, value := range []string{"one", "", "\x00\xff\r\n", strings.Repeat("v", MaxValue)} {
		for _, key := range []string{"a", "\xff\x00 key", strings.Repeat("k", MaxKey)} {
			revision := set(t, s, key, value, 0)
			if revision <= last {
				t.Fatalf("revision %d follows %d", revision, last)
			}
			last = revision
			e, err := s.Get(ctx, key)
			if err != nil || e.Key != key || string(e.Value) != value || e.Revision != revision || e.Lease != 0 {
				t.Fatalf("got %.40q at %d, %v; want %.40q at %d", e.Value, e.Revision, err, value, revision)
			}
			e.Value = append(e.Value[:0], "spoilt"...)
			if again, err := s.Get(ctx, key); err != nil || string(again.Value) != value {
				t.Fatalf("a value is shared with its receiver: %.40q, %v", again.Value, err)
			}
		}
	}
	gone, err := s.Commit(ctx, nil, []Write{{Key: "a", Value: []byte("not looked at"), Lease: 77, Delete: true}})
	if err != nil || gone <= last {
		t.Fatalf("delete: revision %d, %v", gone, err)
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a deleted key: %v", err)
	}
	same, err := s.Commit(ctx, nil, []Write{{Key: "a", Delete: true}})
	if err != nil || same != gone {
		t.Fatalf("nothing deleted: revision %d, %v; want %d", same, err, gone)
	}
	if same, err := s.Commit(ctx, nil, nil); err != nil || same != gone {
		t.Fatalf("nothing committed: revision %d, %v; want %d", same, err, gone)
	}
}

func conformRange(t *testing.T, s Store) {
	want := []string{"a", "b", "b/", "b/1", "b/10", "b/2", "b/2\xff", "b/2\xff\xff", "b0", "c", "\xff"}
	slices.Sort(want)
	for _, key := range slices.Backward(want) {
		set(t, s, key, "value of "+key, 0)
	}
	for _, prefix := range []string{"", "a", "b", "b/", "b/2", "b/2\xff", "bb", "\xff", "\xff\xff"} {
		for _, after := range append([]string{"", "b/0", "b/1", "b1", "\xff\xff"}, want...) {
			for _, limit := range []int{-1, 0, 1, 2, 3, len(want), MaxRange + 1} {
				var expect []string
				for _, key := range want {
					full := limit > 0 && len(expect) == limit
					if strings.HasPrefix(key, prefix) && key > after && !full {
						expect = append(expect, key)
					}
				}
				page, err := s.Range(t.Context(), prefix, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, e := range page {
					got = append(got, e.Key)
					if string(e.Value) != "value of "+e.Key || e.Revision == 0 {
						t.Fatalf("entry %+v", e)
					}
				}
				if !slices.Equal(got, expect) {
					t.Fatalf("range of %q after %q, %d at most: %q, want %q", prefix, after, limit, got, expect)
				}
			}
		}
	}
	for i := 0; i < MaxRange+50; i += MaxWrites {
		var writes []Write
		for j := i; j < min(i+MaxWrites, MaxRange+50); j++ {
			writes = append(writes, Write{Key: fmt.Sprintf("many/%04d", j)})
		}
		if _, err := s.Commit(t.Context(), nil, writes); err != nil {
			t.Fatal(err)
		}
	}
	page, err := s.Range(t.Context(), "many/", "", 0)
	if err != nil || len(page) != MaxRange {
		t.Fatalf("a page of %d, %v; want %d", len(page), err, MaxRange)
	}
	page, err = s.Range(t.Context(), "many/", page[MaxRange-1].Key, 0)
	if err != nil || len(page) != 50 || page[0].Key != fmt.Sprintf("many/%04d", MaxRange) {
		t.Fatalf("the next page of %d, %v; want 50", len(page), err)
	}
}

func conformBounds(t *testing.T, s Store) {
	ctx := t.Context()
	long := strings.Repeat("k", MaxKey+1)
	many := make([]Write, MaxWrites+1)
	checks := make([]Check, MaxWrites+1)
	for i := range many {
		many[i].Key, checks[i].Key = fmt.Sprint("key", i), fmt.Sprint("key", i)
	}
	commit := func(checks []Check, writes ...Write) error {
		_, err := s.Commit(ctx, checks, writes)
		return err
	}
	get := func(key string) error {
		_, err := s.Get(ctx, key)
		return err
	}
	page := func(prefix, after string) error {
		_, err := s.Range(ctx, prefix, after, 1)
		return err
	}
	for what, err := range map[string]error{
		"no key to get":       get(""),
		"a long key to get":   get(long),
		"a long prefix":       page(long, ""),
		"a long position":     page("", long),
		"no key to write":     commit(nil, Write{Value: []byte("v")}),
		"a long key to write": commit(nil, Write{Key: long}),
		"no key to delete":    commit(nil, Write{Delete: true}),
		"a long value":        commit(nil, Write{Key: "k", Value: make([]byte, MaxValue+1)}),
		"many writes":         commit(nil, many...),
		"many checks":         commit(checks, many[0]),
		"no key to check":     commit([]Check{{}}, many[0]),
		"a key written twice": commit(nil, Write{Key: "k"}, Write{Key: "j"}, Write{Key: "k", Delete: true}),
		"a long watch":        s.Watch(ctx, long, 0, func(Event) error { return nil }),
		"a watch after -2":    s.Watch(ctx, "", -2, func(Event) error { return nil }),
	} {
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) || errors.Is(err, ErrCompacted) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, ttl := range []time.Duration{-1, 0, MinTTL - 1, MaxTTL + 1} {
		if _, err := s.Grant(ctx, ttl); err == nil {
			t.Errorf("a lease of %v was granted", ttl)
		}
	}
	if got := all(t, s); len(got) > 0 {
		t.Errorf("refused commits left %v", got)
	}
	if err := commit(checks[:MaxWrites], many[:MaxWrites]...); err != nil {
		t.Errorf("the largest commit: %v", err)
	}
}

func conformChecks(t *testing.T, s Store) {
	ctx := t.Context()
	first := set(t, s, "a", "1", 0)
	second := set(t, s, "b", "1", 0)
	for _, c := range []struct {
		checks []Check
		holds  bool
	}{
		{[]Check{{"a", first}}, true},
		{[]Check{{"a", first}, {"b", second}, {"c", 0}}, true},
		{[]Check{{"a", 0}}, false},
		{[]Check{{"a", first + 1}}, false},
		{[]Check{{"a", second}}, false},
		{[]Check{{"a", -1}}, false},
		{[]Check{{"c", first}}, false},
		{[]Check{{"a", first}, {"b", first}}, false},
		{[]Check{{"b", first}, {"a", first}}, false},
	} {
		before := all(t, s)
		revision, err := s.Commit(ctx, c.checks, []Write{{Key: "d", Value: fmt.Append(nil, c.checks)}, {Key: "e", Delete: true}})
		got := all(t, s)
		if c.holds && (err != nil || got["d"] != fmt.Sprint(c.checks)) {
			t.Errorf("%v: %v, left %v", c.checks, err, got)
		}
		if !c.holds && (!errors.Is(err, ErrConflict) || revision != 0 || !maps.Equal(got, before)) {
			t.Errorf("%v: revision %d, %v, left %v", c.checks, revision, err, got)
		}
	}
	// What one commit writes has one revision.
	revision, err := s.Commit(ctx, []Check{{"a", first}, {"x", 0}}, []Write{{Key: "a", Delete: true}, {Key: "b"}, {Key: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a: %v", err)
	}
	for _, key := range []string{"b", "x"} {
		if e, err := s.Get(ctx, key); err != nil || e.Revision != revision {
			t.Errorf("%s at %d, %v; want %d", key, e.Revision, err, revision)
		}
	}
}

// conformRace lets many count up one key: none may be lost.
func conformRace(t *testing.T, s Store) {
	const writers, each = 8, 20
	ctx := t.Context()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				e, err := s.Get(ctx, "count")
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
					return
				}
				_, err = s.Commit(ctx, []Check{{"count", e.Revision}}, []Write{{Key: "count", Value: append(e.Value, '.')}})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if e, err := s.Get(ctx, "count"); err != nil || len(e.Value) != writers*each {
		t.Errorf("counted to %d, %v; want %d", len(e.Value), err, writers*each)
	}
}

func conformSnapshot(t *testing.T, s Store) {
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	set(t, s, "left", "", 0)
	wg.Go(func() { // both keys are always the same, and each other's neighbour in no page
		for i := 0; ctx.Err() == nil; i++ {
			value := fmt.Append(nil, i)
			if _, err := s.Commit(ctx, nil, []Write{{Key: "left", Value: value}, {Key: "right", Value: value}}); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		var entries []Entry
		revision, err := s.Snapshot(ctx, func(e Entry) error {
			entries = append(entries, e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		newest := int64(0)
		for _, e := range entries {
			newest = max(newest, e.Revision)
		}
		if newest != revision {
			t.Fatalf("a snapshot at %d has entries of up to %d", revision, newest)
		}
		if len(entries) == 2 && string(entries[0].Value) != string(entries[1].Value) {
			t.Fatalf("a snapshot of two revisions: %+v", entries)
		}
	}
	stopped := errors.New("stopped")
	if revision, err := s.Snapshot(ctx, func(Entry) error { return stopped }); !errors.Is(err, stopped) || revision != 0 {
		t.Fatalf("revision %d, %v", revision, err)
	}
}

// conformEnded calls everything with a context that has ended.
func conformEnded(t *testing.T, s Store) {
	set(t, s, "a", "1", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range callAll(ctx, s) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := all(t, s); !maps.Equal(got, map[string]string{"a": "1"}) {
		t.Errorf("left %v", got)
	}
}

func conformClosed(t *testing.T, s Store) {
	watching := make(chan error, 1)
	go func() { // Close ends it
		watching <- s.Watch(context.Background(), "", 0, func(Event) error { return nil })
	}()
	shut(t, s)
	if err := await(t, watching, "the watcher's end"); !errors.Is(err, ErrClosed) {
		t.Errorf("a watcher was left with %v", err)
	}
	for what, err := range callAll(t.Context(), s) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	shut(t, s)
}

// callAll returns what each method says.
func callAll(ctx context.Context, s Store) map[string]error {
	errs := map[string]error{
		"Renew":  s.Renew(ctx, 1),
		"Revoke": s.Revoke(ctx, 1),
		"Watch":  s.Watch(ctx, "", 0, func(Event) error { return nil }),
	}
	_, errs["Get"] = s.Get(ctx, "a")
	_, errs["Range"] = s.Range(ctx, "", "", 0)
	_, errs["Commit"] = s.Commit(ctx, nil, []Write{{Key: "a", Value: []byte("2")}})
	_, errs["Grant"] = s.Grant(ctx, MaxTTL)
	_, errs["Snapshot"] = s.Snapshot(ctx, func(Entry) error { return nil })
	return errs
}
