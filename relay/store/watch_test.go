package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestWatchSlow stops a watcher while more changes than are kept are made.
func TestWatchSlow(t *testing.T) {
	b := openNew(t)
	set(t, b, "first", "", 0)
	begun, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release() // a test that fails does not wait either
	done := make(chan error, 1)
	go func() { // the store's end ends it
		done <- b.Watch(context.Background(), "", 0, func(e Event) error {
			if e.Key != "first" {
				return fmt.Errorf("event %+v", e)
			}
			close(begun)
			<-goOn
			return nil
		})
	}()
	await(t, begun, "the first event")
	var last int64
	for range feedEvents/MaxWrites + 1 {
		writes := make([]Write, MaxWrites)
		for i := range writes {
			writes[i].Key = fmt.Sprint(i)
		}
		var err error
		if last, err = b.Commit(t.Context(), nil, writes); err != nil {
			t.Fatal(err)
		}
	}
	release()
	if err := await(t, done, "the slow watcher's end"); !errors.Is(err, ErrCompacted) {
		t.Errorf("the slow watcher: %v", err)
	}
	if err := watch(t, b, "", 0).end(t); !errors.Is(err, ErrCompacted) {
		t.Errorf("a late watcher: %v", err)
	}
	w := watch(t, b, "", last)
	revision := set(t, b, "more", "", 0)
	if e := w.next(t); e.Key != "more" || e.Revision != revision {
		t.Errorf("event %+v", e)
	}
}

// TestWatchRestart watches a store that was opened again: what was before is not
// known any more.
func TestWatchRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	b := reopen(t, path)
	set(t, b, "a", "", 0)
	last := set(t, b, "b", "", 0)
	shut(t, b)
	b = reopen(t, path)
	for _, after := range []int64{0, last - 1, last + 1} {
		if err := watch(t, b, "", after).end(t); !errors.Is(err, ErrCompacted) {
			t.Errorf("after %d of %d: %v", after, last, err)
		}
	}
	w := watch(t, b, "", last)
	if next := set(t, b, "c", "", 0); next != last+1 {
		t.Errorf("revision %d follows %d", next, last)
	}
	if e := w.next(t); e.Key != "c" {
		t.Errorf("event %+v", e)
	}
}

// TestWatchUncertain has a commit that is in the file although it returned an
// error, as when the disk fails after it was written: watchers must not miss it
// and go on.
func TestWatchUncertain(t *testing.T) {
	b := openNew(t)
	first := set(t, b, "a", "", 0)
	w := watch(t, b, "", 0)
	if e := w.next(t); e.Key != "a" {
		t.Fatalf("event %+v", e)
	}
	if err := b.db.Update(func(tx *bolt.Tx) error { return writeState(tx, state{first + 1, 1}) }); err != nil {
		t.Fatal(err)
	}
	set(t, b, "b", "", 0)
	if err := w.end(t); !errors.Is(err, ErrCompacted) {
		t.Errorf("the watcher that has seen all: %v", err)
	}
	if err := watch(t, b, "", first).end(t); !errors.Is(err, ErrCompacted) {
		t.Errorf("a watcher of what is missing: %v", err)
	}
	if e := watch(t, b, "", first+1).next(t); e.Key != "b" {
		t.Errorf("event %+v", e)
	}
}

// TestFeedBounds publishes commits of all sizes: the feed keeps what it may, and
// never a part of a commit.
func TestFeedBounds(t *testing.T) {
	var f feed
	f.reset(0)
	value := make([]byte, MaxValue)
	for revision := int64(1); revision < 300; revision++ {
		events := make([]Event, 1+revision*7%MaxWrites)
		for i := range events {
			events[i].Entry = Entry{Key: fmt.Sprint(i), Value: value[:revision*1001%MaxValue], Revision: revision}
		}
		f.publish(revision, events)
		size := 0
		for _, e := range f.events {
			size += len(e.Key) + len(e.Value)
		}
		if size != f.bytes || size > feedBytes || len(f.events) > feedEvents {
			t.Fatalf("%d events of %d bytes, counted as %d", len(f.events), size, f.bytes)
		}
		if oldest := f.events[0].Revision; oldest != f.lost+1 {
			t.Fatalf("up to %d it may lack some, but it begins with %d", f.lost, oldest)
		}
		if newest := f.events[len(f.events)-len(events):]; newest[0].Revision != revision {
			t.Fatalf("commit %d is not whole", revision)
		}
		if f.lost > 0 {
			if _, err := f.start(f.lost - 1); !errors.Is(err, ErrCompacted) {
				t.Fatalf("changes after %d: %v", f.lost-1, err)
			}
		}
		n, err := f.start(f.lost)
		if err != nil {
			t.Fatal(err)
		}
		if e, _, err := f.at(n); err != nil || e.Revision != f.lost+1 {
			t.Fatalf("event %+v, %v", e, err)
		}
		if _, _, err := f.at(n - 1); !errors.Is(err, ErrCompacted) {
			t.Fatalf("an event that is gone: %v", err)
		}
	}
	if f.lost == 0 {
		t.Error("nothing was dropped")
	}
}
