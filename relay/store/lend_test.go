package store

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"testing"
	"time"
)

// lenderOf opens the lender of a file, which the test's end closes.
func lenderOf(t *testing.T, path string) *Lender {
	t.Helper()
	l, err := OpenLender(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A store that is lent is another's to open. Calls wait until it is back, and see
// what was written meanwhile.
func TestLend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	l := lenderOf(t, path)
	last := set(t, l, "a", "1", 0)
	watching := make(chan error, 1)
	seen := make(chan struct{})
	go func() { // Lend ends it
		watching <- l.Watch(context.Background(), "", last-1, func(Event) error { close(seen); return nil })
	}()
	await(t, seen, "an event")
	if err := l.Recall(); !errors.Is(err, ErrLocked) {
		t.Errorf("called back while it is here: %v", err)
	}
	if err := l.Lend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Lend(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("lent twice: %v", err)
	}
	other := reopen(t, path)
	set(t, other, "b", "2", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for what, err := range callAll(ctx, l) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s while it is lent: %v", what, err)
		}
	}
	got := make(chan error, 1)
	go func() { // Recall ends it
		e, err := l.Get(context.Background(), "b")
		if err == nil && string(e.Value) != "2" {
			err = errors.New("the value is " + string(e.Value))
		}
		got <- err
	}()
	if err := l.Recall(); !errors.Is(err, ErrLocked) {
		t.Errorf("called back while another has it: %v", err)
	}
	shut(t, other)
	if err := l.Recall(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, got, "the call's end"); err != nil {
		t.Error(err)
	}
	if err := await(t, watching, "the watcher's end"); !errors.Is(err, ErrCompacted) {
		t.Errorf("a watcher was left with %v", err)
	}
	if got := all(t, l); !maps.Equal(got, map[string]string{"a": "1", "b": "2"}) {
		t.Errorf("left %v", got)
	}
}

// A store that is lent for good ends the calls that wait.
func TestLendForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	l := lenderOf(t, path)
	if err := l.Lend(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() { // Close ends it
		_, err := l.Commit(context.Background(), nil, nil)
		got <- err
	}()
	other := reopen(t, path)
	shut(t, l)
	if err := await(t, got, "the call's end"); !errors.Is(err, ErrClosed) {
		t.Errorf("a call was left with %v", err)
	}
	set(t, other, "a", "1", 0)
	shut(t, other)
	if err := l.Recall(); !errors.Is(err, ErrClosed) {
		t.Errorf("called back after its end: %v", err)
	}
	shut(t, reopen(t, path))
}

// A store is not lent while a snapshot of it is under way, and stays in use until
// then: who reads that may be slow.
func TestLendDuringSnapshot(t *testing.T) {
	l := lenderOf(t, filepath.Join(t.TempDir(), "relay.db"))
	set(t, l, "a", "1", 0)
	set(t, l, "b", "2", 0)
	ctx, cancel := context.WithCancel(t.Context())
	lent := make(chan error, 1)
	told := 0
	_, err := l.Snapshot(t.Context(), func(Entry) error {
		if told++; told == 1 {
			go func() { lent <- l.Lend(ctx) }() // cancel ends it
			cancel()
			select {
			case err := <-lent:
				if !errors.Is(err, errReading) || !l.Here() {
					t.Errorf("lent while it is read: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it waits for who reads")
				return errors.New("given up")
			}
			set(t, l, "c", "3", 0)
			go func() { lent <- l.Lend(context.Background()) }() // the snapshot's end ends it
		}
		return nil
	})
	if err != nil || told != 2 {
		t.Errorf("told of %d entries, %v", told, err)
	}
	if err := await(t, lent, "the end of Lend"); err != nil || l.Here() {
		t.Errorf("lent when it was read: %v", err)
	}
	mine := errors.Join(errors.New("mine"), ErrClosed)
	if err := l.Recall(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Snapshot(t.Context(), func(Entry) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("its own error: %v", err)
	}
}
