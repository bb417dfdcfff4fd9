package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A file of schema 1 has these buckets. Each value begins with the CRC-32C of
// its key and of what follows, because bolt has no checksums for data: a byte
// that the disk changes is found, not believed.
const (
	schema = 1

	bucketMeta    = "meta"    // keySchema: a number; keyState: revision, count of entries
	bucketEntries = "entries" // key: revision, lease, value
	bucketLeases  = "leases"  // number: its ttl, in nanoseconds
	bucketLeased  = "leased"  // number of a lease and key: nothing; an index of entries

	keySchema = "schema"
	keyState  = "state"
)

// errRecord means that a record is not what was written.
var errRecord = errors.New("it does not match its checksum")

// A state is what a store counts.
type state struct {
	revision int64
	entries  int64
}

// seal returns the value to keep under key for some numbers and bytes.
func seal(key, tail []byte, numbers ...int64) []byte {
	b := make([]byte, 4, 4+8*len(numbers)+len(tail))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, tail...)
	binary.BigEndian.PutUint32(b, sum(key, b[4:]))
	return b
}

// unseal reads a value of seal's into numbers, and returns the rest of it. The
// rest is part of b.
func unseal(key, b []byte, numbers ...*int64) (tail []byte, err error) {
	if len(b) < 4+8*len(numbers) || binary.BigEndian.Uint32(b) != sum(key, b[4:]) {
		return nil, errRecord
	}
	b = b[4:]
	for _, n := range numbers {
		*n = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	return b, nil
}

func sum(key, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, b)
}

// sealEntry returns the value to keep for an entry.
func sealEntry(e Entry) []byte {
	return seal([]byte(e.Key), e.Value, e.Revision, int64(e.Lease))
}

// unsealEntry returns the entry kept as b, which it does not hold on to.
func unsealEntry(key, b []byte) (Entry, error) {
	var revision, lease int64
	value, err := unseal(key, b, &revision, &lease)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Key: string(key), Value: append([]byte{}, value...), Revision: revision, Lease: Lease(lease)}, nil
}

// leaseKey returns the key of a lease in its bucket, and the prefix of its
// entries in the index.
func leaseKey(l Lease) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(l))
}

// leasedKey returns the key of an entry in the index.
func leasedKey(l Lease, key string) []byte {
	return append(leaseKey(l), key...)
}

// unsealLease returns the lease kept as b under key.
func unsealLease(key, b []byte) (Lease, time.Duration, error) {
	var ttl int64
	tail, err := unseal(key, b, &ttl)
	if err != nil || len(key) != 8 || len(tail) > 0 || checkTTL(time.Duration(ttl)) != nil {
		return 0, 0, errRecord
	}
	return Lease(binary.BigEndian.Uint64(key)), time.Duration(ttl), nil
}

// damaged returns the error for a record that was intact when the store was
// opened.
func damaged(what string, err error) error {
	return fmt.Errorf("store: %s is damaged: %w", what, err)
}

// bucket returns a bucket that every store has.
func bucket(tx *bolt.Tx, name string) *bolt.Bucket {
	return tx.Bucket([]byte(name))
}

// readState returns what tx sees as the store's state.
func readState(tx *bolt.Tx) (state, error) {
	var s state
	key := []byte(keyState)
	tail, err := unseal(key, bucket(tx, bucketMeta).Get(key), &s.revision, &s.entries)
	if err != nil || len(tail) > 0 || s.revision < 0 || s.entries < 0 {
		return state{}, damaged("the count of revisions", errRecord)
	}
	return s, nil
}

// writeState keeps the store's state.
func writeState(tx *bolt.Tx, s state) error {
	key := []byte(keyState)
	return bucket(tx, bucketMeta).Put(key, seal(key, nil, s.revision, s.entries))
}

// under returns the keys of b that begin with prefix.
func under(b *bolt.Bucket, prefix []byte) [][]byte {
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}
