package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	bolt "go.etcd.io/bbolt"
)

var errNotEmpty = errors.New("store: restore: the store has entries already; give a new one")

// A BackupError says why a backup cannot be restored: it is cut, changed,
// foreign or newer, or cannot be read.
type BackupError struct{ Err error }

func (e *BackupError) Error() string { return "store: backup: " + e.Err.Error() }

// Unwrap returns the reason, which names the line.
func (e *BackupError) Unwrap() error { return e.Err }

// CheckBackup reads a backup to its end, and returns a *BackupError if it
// cannot be restored.
func CheckBackup(ctx context.Context, r io.Reader) error {
	_, _, err := whole(ctx, r)
	return err
}

// whole returns what a backup has. The error is a *BackupError, or ctx's.
func whole(ctx context.Context, r io.Reader) ([]Entry, int64, error) {
	entries, revision, err := readBackup(ctx, r)
	if err != nil && ctx.Err() == nil {
		err = &BackupError{err}
	}
	return entries, revision, err
}

// Restore reads a backup into s, which must have no entries. A backup that is
// refused, with a *BackupError, is so before anything is written; one that
// is whole has its entries in memory at that time. A Bolt gets all of it in one
// commit or nothing, and goes on from the backup's revision; its watchers get
// ErrCompacted. Other stores get it in several commits: after an error some of
// it may be there.
func Restore(ctx context.Context, s Store, r io.Reader) error {
	entries, revision, err := whole(ctx, r)
	if err != nil {
		return err
	}
	if b, ok := s.(*Bolt); ok {
		return b.fill(ctx, entries, revision)
	}
	there, err := s.Range(ctx, "", "", 1)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return errNotEmpty
	}
	done := 0
	for part := range slices.Chunk(entries, MaxWrites) {
		checks := make([]Check, len(part))
		writes := make([]Write, len(part))
		for i, e := range part {
			checks[i] = Check{Key: e.Key}
			writes[i] = Write{Key: e.Key, Value: e.Value}
		}
		if _, err := s.Commit(ctx, checks, writes); err != nil {
			return fmt.Errorf("store: restore: %d of %d entries are there; empty the store and try again: %w", done, len(entries), err)
		}
		done += len(part)
	}
	return nil
}

// fill puts entries into an empty store in one transaction.
func (b *Bolt) fill(ctx context.Context, entries []Entry, revision int64) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.give()
	var refused error
	err := b.update(false, func(tx *bolt.Tx) error {
		refused = put(tx, entries, &revision)
		return refused
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return own(fmt.Errorf("store: restore: %w", err))
	}
	b.feed.reset(revision)
	return nil
}

// put puts entries into the empty store of tx at a revision, or at the store's
// next if it is past that.
func put(tx *bolt.Tx, entries []Entry, revision *int64) error {
	s, err := readState(tx)
	if err != nil {
		return err
	}
	if s.entries > 0 {
		return errNotEmpty
	}
	if *revision <= s.revision {
		*revision = s.revision
		if len(entries) > 0 {
			*revision++
		}
	}
	for _, e := range entries {
		e.Revision = *revision
		if err := bucket(tx, bucketEntries).Put([]byte(e.Key), sealEntry(e)); err != nil {
			return err
		}
	}
	return writeState(tx, state{revision: *revision, entries: int64(len(entries))})
}
