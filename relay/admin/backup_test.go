package admin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"share/relay/account"
	"share/relay/route"
	"share/relay/store"
)

// operate returns a client of a relay with the store s, until the test ends.
func operate(t *testing.T, s store.Store) (*Client, *Relay) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Accounts: account.New(s), Names: route.NewRegistry()}
	r.Names.Accounts = r.Accounts
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Serve(ctx, ln, r); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return NewClient(socket), r
}

// openStore returns an empty store that lasts for the test.
func openStore(t testing.TB) store.Store {
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
	return s
}

func TestBackup(t *testing.T) {
	client, r := operate(t, openStore(t))
	secret, _, err := r.Accounts.Create(t.Context(), account.Token{Account: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Names.Reserve(t.Context(), "web", "ci"); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := client.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(backup.String(), secret) {
		t.Error("the backup has a token's secret")
	}
	again := openStore(t)
	if err := store.Restore(t.Context(), again, &backup); err != nil {
		t.Fatal(err)
	}
	a := account.New(again)
	if token, err := a.Authenticate(t.Context(), secret); err != nil || token.Account != "ci" {
		t.Errorf("%+v, %v", token, err)
	}
	if names, err := a.Names(t.Context()); err != nil || len(names) != 1 || !names[0].Reserved {
		t.Errorf("%+v, %v", names, err)
	}
	full := errors.New("the disk is full")
	if err := client.Backup(t.Context(), failing{full}); !errors.Is(err, full) {
		t.Errorf("a file that takes nothing: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// breaking is a store whose snapshots fail after some entries.
type breaking struct {
	store.Store
	entries int
}

func (b breaking) Snapshot(_ context.Context, fn func(store.Entry) error) (int64, error) {
	for i := range b.entries {
		if err := fn(store.Entry{Key: strings.Repeat("k", i+1), Value: make([]byte, 1<<10), Revision: 1}); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("the disk cannot be read")
}

// A backup that fails is never taken for one that is whole.
func TestBackupBroken(t *testing.T) {
	for name, c := range map[string]struct {
		entries int
		want    string
	}{
		"before its first bytes": {0, "the disk cannot be read"},
		"on its way":             {100, "unexpected EOF"},
	} {
		client, _ := operate(t, breaking{openStore(t), c.entries})
		var backup bytes.Buffer
		if err := client.Backup(t.Context(), &backup); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got := backup.Len() > 0; got != (c.entries > 0) {
			t.Errorf("%s: %d bytes", name, backup.Len())
		}
	}
}
