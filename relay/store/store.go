// Package store is a relay's memory: a small key-value interface, and engines
// behind it.
//
// A commit makes all its writes or none, and survives a crash once it has
// returned. Each commit that changes something has a revision, one more than
// the one before; revisions grow across restarts. Entries may hang on a lease,
// and go when it ends. Changes can be watched.
//
// The engine for one relay is Bolt, a file.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What a store takes. Beyond is an error that names the bound.
const (
	// MaxKey is the longest key, prefix or position, in bytes. A key is not
	// empty; its bytes are arbitrary.
	MaxKey = 512

	// MaxValue is the longest value, in bytes.
	MaxValue = 64 << 10

	// MaxWrites is the most writes of a commit, and the most checks.
	MaxWrites = 128

	// MaxRange is the most entries of a page.
	MaxRange = 1000

	// MinTTL and MaxTTL bound a lease.
	MinTTL = 10 * time.Millisecond
	MaxTTL = 366 * 24 * time.Hour

	// MaxLeases is how many leases can be held at a time.
	MaxLeases = 100_000
)

// States that callers act on; they may be wrapped.
var (
	// ErrNotFound means that there is no such entry or lease.
	ErrNotFound = errors.New("store: not found")

	// ErrConflict means that a check of a commit did not hold.
	ErrConflict = errors.New("store: a check does not hold")

	// ErrCompacted means that the changes asked for are no longer known.
	// Take a snapshot, and watch from its revision on.
	ErrCompacted = errors.New("store: the changes since then are no longer known")

	// ErrClosed means that the store has been closed.
	ErrClosed = errors.New("store: closed")

	// ErrLocked means that another process has the store open.
	ErrLocked = errors.New("store: another process has it open")

	// ErrExists means that a store is there already.
	ErrExists = errors.New("store: there is one already")
)

// A Store keeps entries by their keys. Its methods may be called by many
// goroutines. They return ErrClosed once the store is closed, and the
// context's error once that has ended.
type Store interface {
	// Get returns the entry of key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)

	// Range returns, in the order of their keys, the entries whose key
	// begins with prefix and is behind after: limit of them at most,
	// MaxRange if limit is 0 or larger. A page that is not full is the last.
	Range(ctx context.Context, prefix, after string, limit int) ([]Entry, error)

	// Commit makes all writes, or none: ErrConflict if a check does not
	// hold. A key is written once in a commit; a write with a lease that has
	// ended is refused with ErrNotFound. When it returns the writes survive
	// a crash. The revision is the commit's, or the present one if nothing
	// changed, as when what does not exist is deleted. After any other error
	// than those named here, all of the writes may have been made, or none.
	Commit(ctx context.Context, checks []Check, writes []Write) (revision int64, err error)

	// Grant makes a lease of ttl; entries written with it go when it ends.
	// A lease survives a restart of the store, and then has its whole ttl
	// again.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)

	// Renew lets the lease last for its ttl again, from now. It returns
	// ErrNotFound once the lease has ended.
	Renew(ctx context.Context, l Lease) error

	// Revoke ends the lease now. Its entries are gone when it returns. If
	// they cannot be removed yet it returns an error, and they go as soon as
	// they can.
	Revoke(ctx context.Context, l Lease) error

	// Watch calls fn for each change of a key that begins with prefix, in
	// order, from revision after+1 on, until ctx ends or fn returns an error,
	// which it returns. ErrCompacted if those changes are no longer known, or
	// if the store has never been at after. An after of -1 is "from now on".
	// A watcher that does not keep up gets ErrCompacted.
	Watch(ctx context.Context, prefix string, after int64, fn func(Event) error) error

	// Snapshot calls fn for every entry as all were at one revision, which
	// it returns. Others may write meanwhile; fn must not. An error of fn
	// ends it and is returned.
	Snapshot(ctx context.Context, fn func(Entry) error) (revision int64, err error)

	// Close ends the store: waiting calls return, those at work end first.
	Close() error
}

// An Entry is a key with its value. The value is the receiver's to keep.
type Entry struct {
	Key      string
	Value    []byte
	Revision int64 // of its last write
	Lease    Lease // 0: none
}

// A Check holds if the revision of a key is the given one; 0 means that there
// is no entry.
type Check struct {
	Key      string
	Revision int64
}

// A Write puts an entry, or deletes it; then only the key counts. A put without
// a lease frees the entry from the one it had.
type Write struct {
	Key    string
	Value  []byte
	Lease  Lease
	Delete bool
}

// An Event is a change: the entry as it was written, or the key and revision of
// its end.
type Event struct {
	Entry
	Deleted bool
}

// A Lease is the handle of one that was granted. It is never 0.
type Lease int64

// checkKey returns what is wrong with a key.
func checkKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("store: a key of %d bytes: want 1 to %d", len(key), MaxKey)
	}
	return nil
}

// checkPosition returns what is wrong with a prefix or a position.
func checkPosition(s string) error {
	if len(s) > MaxKey {
		return fmt.Errorf("store: a prefix or position of %d bytes: want %d at most", len(s), MaxKey)
	}
	return nil
}

// checkValue returns what is wrong with the value of key.
func checkValue(key string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("store: a value of %d bytes for %q: want %d at most", len(value), key, MaxValue)
	}
	return nil
}

// checkCommit returns what is wrong with the arguments of Commit.
func checkCommit(checks []Check, writes []Write) error {
	if len(checks) > MaxWrites || len(writes) > MaxWrites {
		return fmt.Errorf("store: a commit of %d checks and %d writes: want %d of each at most", len(checks), len(writes), MaxWrites)
	}
	for _, c := range checks {
		if err := checkKey(c.Key); err != nil {
			return err
		}
	}
	seen := make(map[string]bool, len(writes))
	for _, w := range writes {
		if err := checkKey(w.Key); err != nil {
			return err
		}
		if !w.Delete {
			if err := checkValue(w.Key, w.Value); err != nil {
				return err
			}
		}
		if seen[w.Key] {
			return fmt.Errorf("store: %q is written twice in a commit", w.Key)
		}
		seen[w.Key] = true
	}
	return nil
}

// checkTTL returns what is wrong with the duration of a lease.
func checkTTL(ttl time.Duration) error {
	if ttl < MinTTL || ttl > MaxTTL {
		return fmt.Errorf("store: a lease of %v: want %v to %v", ttl, MinTTL, MaxTTL)
	}
	return nil
}
