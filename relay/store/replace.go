package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxKept bounds how many files of the same second are kept.
const maxKept = 100

// RestoreBolt makes the store in the file path, whose folder must exist, of a
// backup. If there is one already the error is ErrExists; with replace it is
// kept beside the new one, in a file that is returned. ErrLocked if a process
// has the store open, a *BackupError if the backup cannot be restored. After any
// error, and after a crash, what was there is there. What root has made is its
// folder's owner's.
func RestoreBolt(ctx context.Context, path string, backup io.Reader, replace bool) (kept string, err error) {
	lock, err := lockStore(path, time.Now().Add(lockWait))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	info, err := os.Lstat(path)
	there := err == nil && info.Size() > 0
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("store: %w", err)
	case err == nil && !info.Mode().IsRegular():
		return "", fmt.Errorf("store: %s is no regular file", path)
	case there && !replace:
		return "", fmt.Errorf("%w: %s", ErrExists, path)
	}
	entries, revision, err := whole(ctx, backup)
	if err != nil {
		return "", err
	}
	fresh := path + ".restored"
	if err := fillFresh(ctx, fresh, entries, revision); err != nil {
		return "", fmt.Errorf("store: restore: %w", err)
	}
	err = errors.Join(giveAway(fresh), giveAway(lock.Path()))
	if err == nil && there {
		kept, err = keep(path, time.Now())
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return "", fmt.Errorf("store: restore: %w", errors.Join(err, os.Remove(fresh)))
	}
	return kept, syncFolder(filepath.Dir(path))
}

// fillFresh makes a store of entries in the file path, in place of what a
// restore has left there that was killed.
func fillFresh(ctx context.Context, path string, entries []Entry, revision int64) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := openLocked(path, time.Now().Add(lockWait))
	if err != nil {
		return err
	}
	err = errors.Join(b.fill(ctx, entries, revision), b.db.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// keep gives the file path a second name, with the time in it, and returns
// that.
func keep(path string, now time.Time) (string, error) {
	stem := path + "." + now.UTC().Format("20060102T150405Z")
	name := stem
	for n := 2; ; n++ {
		err := os.Link(path, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) || n > maxKept {
			return "", fmt.Errorf("keep the old store: %w", err)
		}
		name = fmt.Sprintf("%s.%d", stem, n)
	}
}
