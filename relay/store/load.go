package store

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// load reads the whole of a store that was just opened: it checks each record
// and takes note of the leases, which have their whole ttl from now on.
func (b *Bolt) load() error {
	return b.db.View(func(tx *bolt.Tx) error {
		if err := checkSchema(tx); err != nil {
			return err
		}
		now := time.Now()
		held := make(map[Lease]*term)
		err := bucket(tx, bucketLeases).ForEach(func(k, v []byte) error {
			l, ttl, err := unsealLease(k, v)
			if err != nil {
				return corrupt("lease %x: %v", k, err)
			}
			held[l] = &term{ttl: ttl, deadline: now.Add(ttl)}
			return nil
		})
		if err != nil {
			return err
		}
		s, err := readState(tx)
		if err != nil {
			return corrupt("state: %v", errRecord)
		}
		if err := checkEntries(tx, s, held); err != nil {
			return err
		}
		b.leases.replace(held)
		b.feed.reset(s.revision)
		return nil
	})
}

// checkEntries reads the entries, and the index of those with a lease.
func checkEntries(tx *bolt.Tx, s state, held map[Lease]*term) error {
	index := bucket(tx, bucketLeased)
	var entries, leased int64
	err := bucket(tx, bucketEntries).ForEach(func(k, v []byte) error {
		entries++
		e, err := unsealEntry(k, v)
		switch {
		case err != nil:
			return corrupt("entry %q: %v", k, err)
		case e.Revision < 1 || e.Revision > s.revision:
			return corrupt("entry %q: its revision is %d, the store's %d", k, e.Revision, s.revision)
		case e.Lease == 0:
			return nil
		case held[e.Lease] == nil:
			return corrupt("entry %q: its lease is missing", k)
		case index.Get(leasedKey(e.Lease, e.Key)) == nil:
			return corrupt("entry %q: its lease does not know it", k)
		}
		leased++
		return nil
	})
	if err != nil {
		return err
	}
	if entries != s.entries {
		return corrupt("it has %d entries and should have %d", entries, s.entries)
	}
	return index.ForEach(func(k, _ []byte) error {
		if leased--; leased < 0 {
			return corrupt("a lease has an entry that is not its own: %q", k)
		}
		return nil
	})
}

// checkSchema returns why this version cannot read a store.
func checkSchema(tx *bolt.Tx) error {
	foreign := errors.New("it is a bolt file, but not a relay's store, or it is damaged; give another path, or restore a backup")
	meta := bucket(tx, bucketMeta)
	if meta == nil {
		return foreign
	}
	key := []byte(keySchema)
	kept := meta.Get(key)
	if kept == nil {
		return foreign
	}
	var n int64
	switch _, err := unseal(key, kept, &n); {
	case err != nil:
		return corrupt("schema: %v", err)
	case n > schema:
		return fmt.Errorf("it has schema %d and this version knows %d: use a newer share", n, schema)
	case n != schema:
		return corrupt("schema %d", n)
	}
	for _, name := range []string{bucketEntries, bucketLeases, bucketLeased} {
		if bucket(tx, name) == nil {
			return corrupt("%s are missing", name)
		}
	}
	return nil
}

// corrupt returns an error that says what to do about a damaged file.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("the file is corrupt: "+format+"; move it away and restore a backup", args...)
}
