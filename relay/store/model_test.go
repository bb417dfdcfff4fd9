package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestModel makes random commits, and holds the store to a map of what it should
// have. It is opened again and again: the check of its file must find nothing,
// however the tree has grown and shrunk.
func TestModel(t *testing.T) {
	for seed, pageSize := range []int{1 << 10, os.Getpagesize()} {
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		path := filepath.Join(t.TempDir(), "relay.db")
		db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(layOut), db.Close()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		revision := int64(0)
		for range 60 {
			b := reopen(t, path)
			b.db.NoSync = true
			if got := all(t, b); !maps.Equal(got, want) {
				t.Fatalf("page size %d, revision %d: %d entries, want %d", pageSize, revision, len(got), len(want))
			}
			deletes := rng.IntN(11) // of ten writes
			for range 8 {
				writes := map[string]Write{}
				for range rng.IntN(MaxWrites) {
					w := Write{Key: fmt.Sprint(rng.IntN(1000)), Delete: rng.IntN(10) < deletes}
					if !w.Delete {
						w.Value = []byte(strings.Repeat("v", rng.IntN(1<<rng.IntN(13))))
					}
					writes[w.Key] = w
				}
				changed := false
				var list []Write
				for key, w := range writes {
					list = append(list, w)
					_, exists := want[key]
					changed = changed || exists || !w.Delete
					if want[key] = string(w.Value); w.Delete {
						delete(want, key)
					}
				}
				if changed {
					revision++
				}
				if got, err := b.Commit(t.Context(), nil, list); err != nil || got != revision {
					t.Fatalf("page size %d: revision %d, %v; want %d", pageSize, got, err, revision)
				}
			}
			shut(t, b)
		}
	}
}
