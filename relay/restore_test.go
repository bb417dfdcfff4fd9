package relay

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"share/relay/account"
	"share/relay/store"
)

// A backup goes into the folder of a relay that does not run, and what was
// there goes only if it is to.
func TestRestoreData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d, err := OpenData(dir)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := token(t, d.Accounts, account.Token{Account: "ci"})
	var backup bytes.Buffer
	if err := d.Accounts.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	restore := func(dir string, replace bool) (string, error) {
		return RestoreData(t.Context(), dir, bytes.NewReader(backup.Bytes()), replace)
	}
	if _, err := restore(dir, true); !errors.Is(err, ErrInUse) {
		t.Errorf("a relay runs: %v", err)
	}
	if err := CheckData(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("check while a relay runs: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CheckData(dir); err != nil {
		t.Errorf("check: %v", err)
	}
	if _, err := restore(dir, false); !errors.Is(err, ErrHasState) {
		t.Errorf("there is something: %v", err)
	}
	if kept, err := restore(dir, true); err != nil || filepath.Dir(kept) != dir {
		t.Errorf("replaced: %q, %v", kept, err)
	}
	_, err = RestoreData(t.Context(), dir, strings.NewReader("no backup"), true)
	if _, ok := errors.AsType[*store.BackupError](err); !ok {
		t.Errorf("no backup: %v", err)
	}

	fresh := filepath.Join(t.TempDir(), "c", "d")
	if err := CheckData(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("check of nothing: %v", err)
	}
	if kept, err := restore(fresh, false); kept != "" || err != nil {
		t.Fatalf("into a new folder: %q, %v", kept, err)
	}
	info, err := os.Stat(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the folder has mode %#o", mode)
	}
	for _, dir := range []string{dir, fresh} {
		d, err := OpenData(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Accounts.Authenticate(t.Context(), secret); err != nil || got.Account != "ci" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if runtime.GOOS != "windows" {
		shared := t.TempDir()
		if err := os.Chmod(shared, 0o750); err != nil {
			t.Fatal(err)
		}
		if _, err := restore(shared, true); err == nil {
			t.Error("a folder that others read is taken")
		}
	}
}
