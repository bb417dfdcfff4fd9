package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// errUnchanged ends a transaction that has nothing to write.
var errUnchanged = errors.New("store: unchanged")

// Commit is Store's.
func (b *Bolt) Commit(ctx context.Context, checks []Check, writes []Write) (int64, error) {
	if err := checkCommit(checks, writes); err != nil {
		return 0, err
	}
	puts := slices.ContainsFunc(writes, func(w Write) bool { return !w.Delete })
	return b.change(ctx, !puts, func(tx *bolt.Tx, s *state) ([]Event, error) {
		for _, c := range checks {
			e, _, err := lookup(tx, c.Key)
			if err != nil {
				return nil, err
			}
			if e.Revision != c.Revision {
				return nil, ErrConflict
			}
		}
		events := make([]Event, 0, len(writes))
		for _, w := range writes {
			if !w.Delete && w.Lease != 0 && !b.leases.lives(w.Lease) {
				return nil, fmt.Errorf("%w: lease of %q", ErrNotFound, w.Key)
			}
			e, changed, err := write(tx, w, s)
			if err != nil {
				return nil, err
			}
			if changed {
				events = append(events, e)
			}
		}
		if len(events) == 0 {
			return nil, errUnchanged
		}
		return events, nil
	})
}

// change makes a write transaction of fn, one at a time, and publishes the
// events that fn returns. It gives fn the state as it will be if there are any:
// its revision is theirs. The transaction is dropped if fn returns an error. That
// it only deletes is said in advance.
func (b *Bolt) change(ctx context.Context, deletes bool, fn func(*bolt.Tx, *state) ([]Event, error)) (int64, error) {
	if err := b.take(ctx); err != nil {
		return 0, err
	}
	defer b.give()
	var old, s state
	var events []Event
	var refused error
	err := b.update(deletes, func(tx *bolt.Tx) error {
		if old, refused = readState(tx); refused != nil {
			return refused
		}
		s = old
		s.revision++
		if events, refused = fn(tx, &s); refused != nil || len(events) == 0 {
			return refused
		}
		return writeState(tx, s)
	})
	switch {
	case errors.Is(refused, errUnchanged) || err == nil && len(events) == 0:
		return old.revision, nil
	case refused != nil:
		return 0, refused
	case err != nil:
		return 0, own(fmt.Errorf("store: commit: %w", err))
	}
	b.feed.publish(s.revision, events)
	return s.revision, nil
}

// take waits for the turn to write, which give ends.
func (b *Bolt) take(ctx context.Context) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	select {
	case b.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closed:
		return ErrClosed
	}
}

func (b *Bolt) give() { <-b.writing }

// write makes one write, at the revision of s. It reports whether that changed
// anything.
func write(tx *bolt.Tx, w Write, s *state) (e Event, changed bool, err error) {
	old, exists, err := lookup(tx, w.Key)
	if err != nil {
		return Event{}, false, err
	}
	if old.Lease != 0 && (w.Delete || w.Lease != old.Lease) {
		if err := bucket(tx, bucketLeased).Delete(leasedKey(old.Lease, w.Key)); err != nil {
			return Event{}, false, err
		}
	}
	if w.Delete {
		if !exists {
			return Event{}, false, nil
		}
		s.entries--
		gone := Event{Entry: Entry{Key: w.Key, Revision: s.revision}, Deleted: true}
		return gone, true, bucket(tx, bucketEntries).Delete([]byte(w.Key))
	}
	if !exists {
		s.entries++
	}
	if w.Lease != 0 && w.Lease != old.Lease {
		if err := bucket(tx, bucketLeased).Put(leasedKey(w.Lease, w.Key), nil); err != nil {
			return Event{}, false, err
		}
	}
	put := Entry{Key: w.Key, Value: bytes.Clone(w.Value), Revision: s.revision, Lease: w.Lease}
	return Event{Entry: put}, true, bucket(tx, bucketEntries).Put([]byte(w.Key), sealEntry(put))
}
