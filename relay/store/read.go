package store

import (
	"context"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Get is Store's.
func (b *Bolt) Get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	var e Entry
	err := b.view(ctx, func(tx *bolt.Tx) error {
		var ok bool
		var err error
		if e, ok, err = lookup(tx, key); err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	return e, err
}

// Range is Store's.
func (b *Bolt) Range(ctx context.Context, prefix, after string, limit int) ([]Entry, error) {
	for _, s := range []string{prefix, after} {
		if err := checkPosition(s); err != nil {
			return nil, err
		}
	}
	if limit <= 0 || limit > MaxRange {
		limit = MaxRange
	}
	var list []Entry
	err := b.view(ctx, func(tx *bolt.Tx) error {
		c := bucket(tx, bucketEntries).Cursor()
		k, v := c.Seek([]byte(max(prefix, after)))
		if k != nil && string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && strings.HasPrefix(string(k), prefix) && len(list) < limit; k, v = c.Next() {
			e, err := unsealEntry(k, v)
			if err != nil {
				return damaged(fmt.Sprintf("entry %q", k), err)
			}
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Snapshot is Store's.
func (b *Bolt) Snapshot(ctx context.Context, fn func(Entry) error) (int64, error) {
	var s state
	err := b.view(ctx, func(tx *bolt.Tx) error {
		var err error
		if s, err = readState(tx); err != nil {
			return err
		}
		c := bucket(tx, bucketEntries).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if err := b.begin(ctx); err != nil {
				return err
			}
			e, err := unsealEntry(k, v)
			if err != nil {
				return damaged(fmt.Sprintf("entry %q", k), err)
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s.revision, nil
}

// revision returns that of the last commit.
func (b *Bolt) revision(ctx context.Context) (int64, error) {
	var s state
	err := b.view(ctx, func(tx *bolt.Tx) (err error) {
		s, err = readState(tx)
		return err
	})
	return s.revision, err
}

// lookup returns the entry of key, if tx sees one.
func lookup(tx *bolt.Tx, key string) (e Entry, ok bool, err error) {
	k := []byte(key)
	kept := bucket(tx, bucketEntries).Get(k)
	if kept == nil {
		return Entry{}, false, nil
	}
	e, err = unsealEntry(k, kept)
	if err != nil {
		return Entry{}, false, damaged(fmt.Sprintf("entry %q", key), err)
	}
	return e, true, nil
}
