//go:build unix

package store

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root restores is for the relay to open, which is another user: the
// folder's owner.
func TestRestoreBoltAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files away takes root")
	}
	const owner = 65532
	folder := t.TempDir()
	path := filepath.Join(folder, "relay.db")
	if err := os.Chown(folder, owner, owner); err != nil {
		t.Fatal(err)
	}
	for _, replace := range []bool{false, true} {
		if _, err := RestoreBolt(t.Context(), path, bytes.NewReader(goldenBackup(t)), replace); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			if s := info.Sys().(*syscall.Stat_t); s.Uid != owner || s.Gid != owner {
				t.Errorf("%s is %d:%d's, want %d:%d", f.Name(), s.Uid, s.Gid, owner, owner)
			}
		}
		if len(files) < 2 {
			t.Errorf("there is no more than %v", files)
		}
	}
}
