package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// manyEntries make a tree of some pages.
const manyEntries = 150

// sample makes a store of some entries with pages of a size, 0 for the machine's,
// and returns its path. Each tenth entry has a lease, each tenth is long. Its last
// commit is that of the key "last".
func sample(t testing.TB, pageSize, entries int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(layOut); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b := reopen(t, path)
	b.db.NoSync = true
	l := grant(t, b, time.Hour)
	for i := range entries {
		w := Write{Key: fmt.Sprintf("key/%03d", i), Value: []byte(strings.Repeat("v", i*37%300))}
		switch i % 10 {
		case 0:
			w.Lease = l
		case 1: // one of several pages
			w.Value = []byte(strings.Repeat("long", 1500))
		}
		if _, err := b.Commit(t.Context(), nil, []Write{w, {Key: fmt.Sprintf("key/%03d", i-20), Delete: i%3 == 0, Value: []byte("again")}}); err != nil {
			t.Fatal(err)
		}
	}
	set(t, b, "last", "", 0)
	shut(t, b)
	return path
}

// TestFlipped changes a byte of a store, here and there. It must be refused, or
// be in no way different: what bolt follows is checked, and what it keeps. The
// newest header is the exception: without it the store is as it was before its
// last commit, because a header that a crash has cut looks the same.
func TestFlipped(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, pageSize := range []int{0, 1 << 10} {
		path := sample(t, pageSize, manyEntries)
		whole := image(t, path)
		b := reopen(t, path)
		want := all(t, b)
		shut(t, b)
		before := maps.Clone(want)
		delete(before, "last")
		path = filepath.Join(t.TempDir(), "relay.db")
		refused := 0
		const rounds = 150
		for range rounds {
			at := rng.IntN(len(whole))
			if rng.IntN(2) == 0 { // the beginning of a page has most to break
				at += rng.IntN(64) - at%(1<<10)
			}
			mask := byte(1 << rng.IntN(8))
			changed := append([]byte{}, whole...)
			changed[at] ^= mask
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := OpenBolt(path)
			if err != nil {
				// A flipped name is a foreign one.
				if refused++; !strings.Contains(err.Error(), "corrupt") && !strings.Contains(err.Error(), "not a relay's store") {
					t.Errorf("byte %d ^ %#x: %v", at, mask, err)
				}
				continue
			}
			got := all(t, b)
			if !maps.Equal(got, want) && !(at < 2*max(pageSize, os.Getpagesize()) && maps.Equal(got, before)) {
				t.Errorf("byte %d ^ %#x was not seen, and makes a difference", at, mask)
			}
			use(t, b)
			shut(t, b)
			shut(t, reopen(t, path))
		}
		if refused < rounds/10 {
			t.Errorf("only %d of %d were refused", refused, rounds)
		}
	}
}

// TestCut ends a store early, at each page and within.
func TestCut(t *testing.T) {
	whole := image(t, sample(t, 1<<10, manyEntries))
	path := filepath.Join(t.TempDir(), "relay.db")
	for n := 1; n < len(whole); n += 1 << 9 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := OpenBolt(path); err == nil {
			b.Close()
			t.Fatalf("%d of %d bytes were opened", n, len(whole))
		}
	}
}

// TestBranchKey lowers each key by which bolt finds a page: the keys stay in
// order, but bolt would hang the same page in twice when it writes. A page that is
// free by now may be changed.
func TestBranchKey(t *testing.T) {
	const size = 1 << 10
	whole := image(t, sample(t, size, manyEntries))
	path := filepath.Join(t.TempDir(), "relay.db")
	refused := 0
	for at := 2 * size; at < len(whole); at += size {
		p := newPage("page", whole[at:at+size])
		if p.flags != flagBranch {
			continue
		}
		list, err := p.elements()
		if err != nil { // within the value of an entry
			continue
		}
		for _, e := range list {
			changed := bytes.Clone(whole)
			i := at + bytes.LastIndex(whole[at:at+size], e.key) + len(e.key) - 1
			changed[i]--
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			b, err := OpenBolt(path)
			if err != nil {
				refused++
				continue
			}
			use(t, b)
			shut(t, b)
			shut(t, reopen(t, path))
		}
	}
	if refused < 10 {
		t.Errorf("only %d were refused", refused)
	}
}

// FuzzOpen opens any bytes as a store. They are refused, or make a store that
// can be used: bolt never panics or faults.
func FuzzOpen(f *testing.F) {
	whole := image(f, sample(f, 1<<10, 12))
	f.Add([]byte{})
	f.Add(whole)
	f.Add(whole[1<<10:])
	f.Add(append(make([]byte, 1<<10), whole[1<<10:]...))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(folder, "relay.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBolt(path)
		if err != nil {
			return
		}
		use(t, b)
		shut(t, b)
		shut(t, reopen(t, path))
	})
}

// use reads, changes and deletes all there is, and more, so that bolt follows
// each page.
func use(t testing.TB, b *Bolt) {
	t.Helper()
	ctx := context.Background()
	b.db.NoSync = true // the disk is not what is tested
	var writes []Write
	commit := func() {
		if _, err := b.Commit(ctx, nil, writes); err != nil {
			t.Fatal(err)
		}
		writes = nil
	}
	n := 0
	for key := range all(t, b) {
		w := Write{Key: key, Value: []byte(key)}
		if n++; n%3 == 0 {
			w = Write{Key: key, Delete: true}
		}
		if writes = append(writes, w); len(writes) == MaxWrites {
			commit()
		}
	}
	commit()
	for i := range 100 {
		writes = append(writes, Write{Key: fmt.Sprint("used/", i), Value: make([]byte, 100*i)})
	}
	commit()
	l := grant(t, b, time.Hour)
	set(t, b, "used", "", l)
	if err := b.Revoke(ctx, l); err != nil {
		t.Fatal(err)
	}
}
