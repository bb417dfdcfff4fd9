package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A watcher hands the events of a watch to its test.
type watcher struct {
	events chan Event
	done   chan error // what Watch returned
}

// watch begins to watch; the test's end ends it.
func watch(t *testing.T, s Store, prefix string, after int64) *watcher {
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{events: make(chan Event), done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.done <- s.Watch(ctx, prefix, after, func(e Event) error {
			select {
			case w.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return w
}

// next returns the next event.
func (w *watcher) next(t *testing.T) Event {
	t.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.done:
		t.Fatalf("the watch ended: %v", err)
	case <-time.After(patience):
		t.Fatal("no event")
	}
	return Event{}
}

// end returns what Watch returned.
func (w *watcher) end(t *testing.T) error {
	t.Helper()
	select {
	case e := <-w.events:
		t.Fatalf("one more event: %+v", e)
	case err := <-w.done:
		return err
	case <-time.After(patience):
		t.Fatal("the watch goes on")
	}
	return nil
}

func conformWatch(t *testing.T, s Store) {
	ctx := t.Context()
	live := watch(t, s, "", 0)
	l := grant(t, s, time.Hour)
	var want []Event
	commit := func(writes ...Write) int64 {
		revision, err := s.Commit(ctx, nil, writes)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range writes {
			e := Event{Entry: Entry{Key: w.Key, Revision: revision}, Deleted: w.Delete}
			if !w.Delete {
				e.Value, e.Lease = w.Value, w.Lease
			}
			want = append(want, e)
		}
		return revision
	}
	commit(Write{Key: "a/1", Value: []byte("1")})
	middle := commit(Write{Key: "b", Value: []byte("b")}, Write{Key: "a/2", Value: []byte("2")}, Write{Key: "a", Value: []byte("a")})
	commit(Write{Key: "a/1", Delete: true}, Write{Key: "c", Value: []byte("c"), Lease: l})
	commit(Write{Key: "a/2", Value: []byte("3")})
	if err := s.Revoke(ctx, l); err != nil {
		t.Fatal(err)
	}
	e, err := s.Snapshot(ctx, func(Entry) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, Event{Entry: Entry{Key: "c", Revision: e}, Deleted: true})

	check := func(w *watcher, prefix string, after int64) {
		t.Helper()
		for _, e := range want {
			if !strings.HasPrefix(e.Key, prefix) || e.Revision <= after {
				continue
			}
			got := w.next(t)
			if !bytes.Equal(got.Value, e.Value) {
				t.Fatalf("%q after %d: %s is %q, want %q", prefix, after, e.Key, got.Value, e.Value)
			}
			got.Value, e.Value = nil, nil
			if !reflect.DeepEqual(got, e) {
				t.Fatalf("%q after %d: %+v, want %+v", prefix, after, got, e)
			}
		}
	}
	check(live, "", 0)
	check(watch(t, s, "", 0), "", 0)
	check(watch(t, s, "a/", 0), "a/", 0)
	check(watch(t, s, "", middle), "", middle)
	check(watch(t, s, "a/", middle-1), "a/", middle-1)
	last := watch(t, s, "", e)
	want = nil
	commit(Write{Key: "d", Value: []byte("d")})
	check(live, "", 0)
	check(last, "", e)

	enough := errors.New("enough")
	count := 0
	err = s.Watch(ctx, "", 0, func(Event) error {
		if count++; count == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || count != 3 {
		t.Errorf("%d events, then %v", count, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	err = s.Watch(ctx, "", 0, func(Event) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a watch whose context ended: %v", err)
	}
}

// conformNow watches from now on: what was written before it is not seen. When
// it has begun is not known, so it writes until something arrives.
func conformNow(t *testing.T, s Store) {
	set(t, s, "before", "", 0)
	w := watch(t, s, "", -1)
	for i, began := 0, time.Now(); ; i++ {
		if time.Since(began) > patience {
			t.Fatal("no event")
		}
		revision := set(t, s, "after", fmt.Sprint(i), 0)
		select {
		case e := <-w.events:
			if e.Key != "after" || e.Revision > revision {
				t.Fatalf("event %+v", e)
			}
			return
		case err := <-w.done:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func conformBackup(t *testing.T, s Store) {
	want := map[string]string{}
	for i := range MaxWrites + 10 {
		want[fmt.Sprintf("key/%d <&\u2028\"", i)] = fmt.Sprint("value ", i)
	}
	want["\xff\xfe"], want["large"], want["empty"] = "\x00", strings.Repeat("v", MaxValue), ""
	for key, value := range want {
		set(t, s, key, value, 0)
	}
	set(t, s, "leased", "", grant(t, s, time.Hour))
	var backup bytes.Buffer
	if err := Backup(t.Context(), s, &backup); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), s, bytes.NewReader(backup.Bytes())); err == nil {
		t.Error("restored into a store that has entries")
	}
	for what, into := range map[string]Store{"bolt": openNew(t), "another": struct{ Store }{openNew(t)}} {
		if err := Restore(t.Context(), into, bytes.NewReader(backup.Bytes())); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := all(t, into); !maps.Equal(got, want) {
			t.Errorf("%s: restored %d entries, want %d: %.200q", what, len(got), len(want), got)
		}
		if revision := set(t, into, "next", "", 0); revision < 2 {
			t.Errorf("%s: revision %d", what, revision)
		}
	}
}
