package account

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"share/relay/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns the accounts of an empty store.
func open(t testing.TB) *Accounts {
	t.Helper()
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(s)
}
