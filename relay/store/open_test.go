package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestOpenNew(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"absent":      func(string) error { return nil },
		"empty":       func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"interrupted": func(path string) error { return os.WriteFile(path+".new", []byte("half a store"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "relay.db")
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			b := reopen(t, path)
			if got := all(t, b); len(got) > 0 {
				t.Errorf("it has %v", got)
			}
			first := set(t, b, "a", "1", 0)
			shut(t, b)
			b = reopen(t, path)
			if e, err := b.Get(t.Context(), "a"); err != nil || string(e.Value) != "1" || e.Revision != first {
				t.Errorf("opened again: %+v, %v", e, err)
			}
			if second := set(t, b, "b", "2", 0); second <= first {
				t.Errorf("revision %d follows %d", second, first)
			}
			info, err := os.Stat(path)
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if _, err := os.Stat(path + ".new"); err == nil {
				t.Error("the file that it was made of is still there")
			}
		})
	}
}

// TestOpenRefused opens what is no store of this version. Each must be refused
// with a word on why, and left as it is.
func TestOpenRefused(t *testing.T) {
	whole := image(t, sample(t, 0, manyEntries))
	page := os.Getpagesize()
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"a byte":          {[]byte("x"), "no intact header"},
		"text":            {bytes.Repeat([]byte("no store\n"), 9999), "no intact header"},
		"zeros":           {make([]byte, 1<<16), "no intact header"},
		"a header":        {whole[:page], "corrupt"},
		"both headers":    {whole[:2*page], "corrupt"},
		"without a byte":  {whole[:len(whole)-1], "corrupt"},
		"the second half": {whole[len(whole)/2:], "no intact header"},
		"another program's": {made(t, func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("entries"))
			return err
		}), "not a relay's store"},
		"another program's, with our names": {made(t, func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte(bucketMeta))
			return err
		}), "not a relay's store"},
		"a newer version's": {made(t, func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte(bucketMeta))
			if err != nil {
				return err
			}
			return b.Put([]byte(keySchema), seal([]byte(keySchema), []byte("and more"), schema+1))
		}), "use a newer share"},
		"no schema's": {made(t, func(tx *bolt.Tx) error {
			if err := layOut(tx); err != nil {
				return err
			}
			return bucket(tx, bucketMeta).Put([]byte(keySchema), seal([]byte(keySchema), nil, 0))
		}), "corrupt: schema 0"},
		"without leases": {made(t, func(tx *bolt.Tx) error {
			if err := layOut(tx); err != nil {
				return err
			}
			return tx.DeleteBucket([]byte(bucketLeases))
		}), "corrupt: leases are missing"},
		"an entry too many": {made(t, func(tx *bolt.Tx) error {
			if err := layOut(tx); err != nil {
				return err
			}
			e := Entry{Key: "k", Revision: 1}
			return errors.Join(writeState(tx, state{revision: 1}), bucket(tx, bucketEntries).Put([]byte("k"), sealEntry(e)))
		}), "corrupt: it has 1 entries and should have 0"},
		"a lease lost": {made(t, func(tx *bolt.Tx) error {
			if err := layOut(tx); err != nil {
				return err
			}
			e := Entry{Key: "k", Revision: 1, Lease: 7}
			return errors.Join(writeState(tx, state{1, 1}), bucket(tx, bucketEntries).Put([]byte("k"), sealEntry(e)))
		}), "its lease is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "relay.db")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := OpenBolt(path)
			if err == nil {
				b.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v; want %q and the path", err, c.want)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.content) {
				t.Errorf("the file was changed: %v", err)
			}
			if err := os.Remove(path); err != nil { // and nothing is held
				t.Fatal(err)
			}
			shut(t, reopen(t, path))
		})
	}
	folder := t.TempDir()
	large := filepath.Join(folder, "large")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, maxFile+1)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		folder: "no regular file",
		large:  "no store",
		filepath.Join(folder, "missing", "store"): "its folder must exist",
	} {
		if b, err := OpenBolt(path); err == nil {
			b.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// TestOpenLocked opens a store twice, and one that a program of bolt's has open.
func TestOpenLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	b := reopen(t, path)
	set(t, b, "a", "1", 0)
	begin := time.Now()
	if _, err := OpenBolt(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("opened twice: %v", err)
	}
	if took := time.Since(begin); took < lockWait/2 || took > patience {
		t.Errorf("it waited %v", took)
	}
	var err error
	for range 3 { // a machine may stall for lockWait
		opened := make(chan error, 1)
		go func() { // ends within lockWait
			second, err := OpenBolt(path)
			if err == nil {
				err = second.Close()
			}
			opened <- err
		}()
		shut(t, b)
		if err = await(t, opened, "the end of OpenBolt"); err == nil {
			break
		}
		b = reopen(t, path)
	}
	if err != nil {
		t.Fatalf("it did not wait for the other: %v", err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBolt(path); !errors.Is(err, ErrLocked) {
		t.Errorf("another program has it: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, reopen(t, path)); !maps.Equal(got, map[string]string{"a": "1"}) {
		t.Errorf("it has %v", got)
	}
}

// made returns a bolt file of fn's.
func made(t *testing.T, fn func(*bolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
	return image(t, path)
}

// image returns the part of a file that bolt uses.
func image(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := newestMeta(bytes.NewReader(b))
	if !ok {
		t.Fatal("it has no header")
	}
	return b[:m.pages*uint64(m.pageSize)]
}

// TestFileFull fills a store to its limit: it says so, all that was committed is
// there, and it can be emptied and filled again. It writes half a gigabyte.
func TestFileFull(t *testing.T) {
	if os.Getenv("STORE_CRASHES") == "" {
		t.Skip("long: make soak")
	}
	path := filepath.Join(t.TempDir(), "relay.db")
	b := reopen(t, path)
	b.db.NoSync = true // the disk is not what is tested
	value := bytes.Repeat([]byte("v"), MaxValue)
	var full error
	keys := 0
	fill := func() {
		keys, full = 0, nil
		for n := 0; full == nil && n < maxFile/MaxValue; n += MaxWrites {
			writes := make([]Write, MaxWrites)
			for i := range writes {
				writes[i] = Write{Key: fmt.Sprint("key/", n+i), Value: value}
			}
			if _, full = b.Commit(t.Context(), nil, writes); full == nil {
				keys = n + MaxWrites
			}
		}
		if full == nil || !strings.Contains(full.Error(), "limit of 256 MiB") {
			t.Fatalf("after %d entries: %v", keys, full)
		}
		if got := count(t, b); got != keys || keys < 2000 {
			t.Fatalf("%d entries are there, want %d", got, keys)
		}
	}
	fill()
	shut(t, b)
	b = reopen(t, path)
	b.db.NoSync = true
	for i := range keys {
		if _, err := b.Commit(t.Context(), nil, []Write{{Key: fmt.Sprint("key/", i), Delete: true}}); err != nil {
			t.Fatalf("delete entry %d of %d: %v", i, keys, err)
		}
		if i == 200 { // one by one is slow, and the tightest is over
			break
		}
	}
	for n := 0; n < keys; n += MaxWrites {
		writes := make([]Write, MaxWrites)
		for i := range writes {
			writes[i] = Write{Key: fmt.Sprint("key/", n+i), Delete: true}
		}
		if _, err := b.Commit(t.Context(), nil, writes); err != nil {
			t.Fatalf("delete from entry %d of %d on: %v", n, keys, err)
		}
	}
	if got := count(t, b); got > 0 {
		t.Fatalf("%d entries are left", got)
	}
	fill()
}

func count(t *testing.T, s Store) (n int) {
	t.Helper()
	if _, err := s.Snapshot(t.Context(), func(Entry) error {
		n++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
