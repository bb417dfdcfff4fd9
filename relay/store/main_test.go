package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds each wait: what takes longer has failed.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVariable); path != "" {
		os.Exit(writeUntilKilled(path))
	}
	goleak.VerifyTestMain(m)
}

// await fails the test unless something comes in time.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// reopen opens the store in path; the test closes it.
func reopen(t testing.TB, path string) *Bolt {
	t.Helper()
	b, err := OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// openNew opens a store that is empty.
func openNew(t testing.TB) *Bolt {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "relay.db"))
}

// shut closes a store before its test ends.
func shut(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// set writes one entry and returns its revision.
func set(t testing.TB, s Store, key, value string, lease Lease) int64 {
	t.Helper()
	revision, err := s.Commit(t.Context(), nil, []Write{{Key: key, Value: []byte(value), Lease: lease}})
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// grant makes a lease.
func grant(t testing.TB, s Store, ttl time.Duration) Lease {
	t.Helper()
	l, err := s.Grant(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// all returns the values of a store by their keys.
func all(t testing.TB, s Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	if _, err := s.Snapshot(t.Context(), func(e Entry) error {
		got[e.Key] = string(e.Value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
