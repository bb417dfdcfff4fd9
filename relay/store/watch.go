package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
)

const (
	// feedEvents and feedBytes bound the changes that are kept for watchers,
	// by their number and by their keys and values. Any commit fits.
	feedEvents = 4096
	feedBytes  = 16 << 20
)

// A feed has the latest changes. Watchers share it: one that is slow costs no
// memory, and finds that what it has not seen is gone.
type feed struct {
	mu       sync.Mutex
	events   []Event       // in order; guarded by mu
	first    int64         // the number of events[0] among all there ever were; guarded by mu
	bytes    int           // guarded by mu
	lost     int64         // changes up to this revision may be missing; guarded by mu
	revision int64         // of the last change; guarded by mu
	more     chan struct{} // closed when anything changes here; guarded by mu
	closed   bool          // guarded by mu
}

// Watch is Store's.
func (b *Bolt) Watch(ctx context.Context, prefix string, after int64, fn func(Event) error) error {
	if err := checkPosition(prefix); err != nil {
		return err
	}
	if after < -1 {
		return fmt.Errorf("store: watch after revision %d: want -1 or more", after)
	}
	now, err := b.revision(ctx)
	if err != nil {
		return err
	}
	switch {
	case after == -1:
		after = now
	case after > now:
		return ErrCompacted
	}
	next, err := b.feed.start(after)
	if err != nil {
		return err
	}
	for {
		e, more, err := b.feed.at(next)
		if err != nil {
			return err
		}
		if more != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-more:
			}
			continue
		}
		next++
		// A commit is in the file before it is here: it may be one that
		// after includes.
		if e.Revision <= after || !strings.HasPrefix(e.Key, prefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e.Value = bytes.Clone(e.Value)
		if err := fn(e); err != nil {
			return err
		}
	}
}

// start returns the number of the first event behind a revision.
func (f *feed) start(after int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if after < f.lost {
		return 0, ErrCompacted
	}
	i := sort.Search(len(f.events), func(i int) bool { return f.events[i].Revision > after })
	return f.first + int64(i), nil
}

// at returns the event of a number, or, if there is none yet, what is closed when
// there may be.
func (f *feed) at(n int64) (Event, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return Event{}, nil, ErrClosed
	case n < f.first:
		return Event{}, nil, ErrCompacted
	case n < f.first+int64(len(f.events)):
		return f.events[n-f.first], nil, nil
	}
	return Event{}, f.more, nil
}

// publish adds the changes of one revision.
func (f *feed) publish(revision int64, events []Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if revision != f.revision+1 {
		f.forget(revision - 1) // a commit was made though it returned an error
	}
	f.revision = revision
	f.events = append(f.events, events...)
	for _, e := range events {
		f.bytes += len(e.Key) + len(e.Value)
	}
	for len(f.events) > feedEvents || f.bytes > feedBytes {
		oldest := f.events[0].Revision
		f.drop(sort.Search(len(f.events), func(i int) bool { return f.events[i].Revision > oldest }))
		f.lost = oldest
	}
	f.tell()
}

// reset makes the store's revision known, and none of what led to it.
func (f *feed) reset(revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(revision)
	f.revision = revision
	f.tell()
}

// close ends all watchers.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.tell()
}

// forget drops all events, and leaves a gap in their numbers, so that watchers
// who have seen them all notice too; mu is held.
func (f *feed) forget(lost int64) {
	f.drop(len(f.events))
	f.first++
	f.lost = lost
}

// drop forgets the n oldest events; mu is held.
func (f *feed) drop(n int) {
	for _, e := range f.events[:n] {
		f.bytes -= len(e.Key) + len(e.Value)
	}
	f.events = slices.Delete(f.events, 0, n)
	f.first += int64(n)
}

// tell wakes watchers; mu is held.
func (f *feed) tell() {
	if f.more != nil {
		close(f.more)
	}
	f.more = make(chan struct{})
}
