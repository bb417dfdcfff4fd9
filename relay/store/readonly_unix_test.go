//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotPermitted opens a store in a folder that cannot be written, and a file
// that cannot. Root may write both, so for it TestReadOnlyDisk does this.
func TestNotPermitted(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "relay.db")
	shut(t, reopen(t, path))
	refuse := func(changed string, mode, back fs.FileMode, want string) {
		if err := os.Chmod(changed, mode); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBolt(path)
		if err == nil {
			b.Close()
		}
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s with mode %v: %v", changed, mode, err)
		}
		if err := os.Chmod(changed, back); err != nil {
			t.Fatal(err)
		}
	}
	refuse(path, 0o400, 0o600, path)
	refuse(path, 0o000, 0o600, path)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	refuse(folder, 0o500, 0o700, "writable")
	shut(t, reopen(t, path))
}
