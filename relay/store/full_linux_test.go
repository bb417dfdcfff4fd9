package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of a size in a folder of its own, or skips the
// test.
func mountSmall(t *testing.T, size int) string {
	t.Helper()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("no right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// TestDiskFull fills the disk: commits say so, what was committed stays, leases
// end when they can, and all goes on once there is room.
func TestDiskFull(t *testing.T) {
	folder := mountSmall(t, 4<<20)
	path := filepath.Join(folder, "relay.db")
	b := reopen(t, path)
	l := grant(t, b, time.Hour)
	set(t, b, "leased", "", l)
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"leased": ""}
	var full error
	for i := 0; full == nil; i++ {
		key, value := fmt.Sprint("key/", i), strings.Repeat(fmt.Sprint(i%10), MaxValue)
		if _, full = b.Commit(t.Context(), nil, []Write{{Key: key, Value: []byte(value)}}); full == nil {
			want[key] = value
		}
		if i == 1000 {
			t.Fatal("the disk is never full")
		}
	}
	if !errors.Is(full, syscall.ENOSPC) || !strings.Contains(full.Error(), "no space left") {
		t.Errorf("the commit that found the disk full: %v", full)
	}
	if got := all(t, b); !maps.Equal(got, want) {
		t.Fatalf("%d entries are there, want %d", len(got), len(want))
	}
	// Whatever room is left goes too, so that not even a lease can end.
	spill, err := os.Create(filepath.Join(folder, "spill"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = spill.Write(make([]byte, 512))
	}
	if err := spill.Close(); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ { // free pages of the file need no room
		if _, err := b.Grant(t.Context(), time.Hour); err != nil {
			break
		}
		if i == 10_000 {
			t.Fatal("grants go on")
		}
	}
	now, err := b.revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leased := watch(t, b, "leased", now)
	revoked := b.Revoke(t.Context(), l)
	if err := b.Renew(t.Context(), l); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked with %v, it was renewed: %v", revoked, err)
	}

	if err := errors.Join(os.Remove(ballast), os.Remove(spill.Name())); err != nil {
		t.Fatal(err)
	}
	set(t, b, "again", "there is room", 0)
	want["again"] = "there is room"
	delete(want, "leased")
	if e := leased.next(t); !e.Deleted {
		t.Errorf("event %+v", e)
	}
	shut(t, b)
	if got := all(t, reopen(t, path)); !maps.Equal(got, want) {
		t.Errorf("opened again, %d entries are there, want %d", len(got), len(want))
	}
}

// TestRestoreDiskFull restores what there is no room for: nothing of it is
// there, now or when the store is opened again.
func TestRestoreDiskFull(t *testing.T) {
	from := openNew(t)
	for i := range 64 {
		set(t, from, fmt.Sprint(i), strings.Repeat("v", MaxValue), 0)
	}
	var backup bytes.Buffer
	if err := Backup(t.Context(), from, &backup); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mountSmall(t, 2<<20), "relay.db")
	b := reopen(t, path)
	if err := Restore(t.Context(), b, bytes.NewReader(backup.Bytes())); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("restored: %v", err)
	}
	for range 2 {
		if got := all(t, b); len(got) > 0 {
			t.Errorf("it left %d entries", len(got))
		}
		shut(t, b)
		b = reopen(t, path)
	}
	if err := Restore(t.Context(), b, bytes.NewReader(goldenBackup(t))); err != nil {
		t.Errorf("a smaller one: %v", err)
	}
}

// TestReadOnlyDisk opens a store on a disk that cannot be written.
func TestReadOnlyDisk(t *testing.T) {
	folder := mountSmall(t, 4<<20)
	path := filepath.Join(folder, "relay.db")
	b := reopen(t, path)
	set(t, b, "a", "1", 0)
	shut(t, b)
	remount := func(flags uintptr) {
		if err := unix.Mount("", folder, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	for _, path := range []string{path, filepath.Join(folder, "new.db")} {
		if b, err := OpenBolt(path); err == nil {
			b.Close()
			t.Errorf("%s was opened", path)
		} else if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", path, err)
		}
	}
	remount(0)
	if got := all(t, reopen(t, path)); got["a"] != "1" {
		t.Errorf("it has %v", got)
	}
}
