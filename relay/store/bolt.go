package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// lockWait is how long OpenBolt waits for another process to let go.
	lockWait = time.Second

	// lockPause is how often it tries.
	lockPause = 20 * time.Millisecond

	// maxFile is the size to which a file may grow. It is mapped whole from
	// the start: bolt cannot map anew while a snapshot is being read, and
	// all commits and reads would wait for that.
	maxFile = 256 << 20

	// reserve is the end of that which only commits that delete may use:
	// bolt needs new pages before it can free old ones.
	reserve = 16 << 20

	// growStep is by how much a file grows at a time.
	growStep = 1 << 20
)

// Bolt is a store in a file of one process. Beside the file there is another,
// with .lock behind its name, which is locked while the store is open.
//
// The file is read and checked whole when it is opened. What happens to it
// while it is open is beyond that: a file that somebody truncates, or a disk
// that cannot be read, ends the process.
type Bolt struct {
	db *bolt.DB

	writing chan struct{} // holds the token of who writes
	closed  chan struct{} // closed by Close
	close   func() error  // what Close does, once

	leases  leases
	wake    chan struct{} // tells the expirer to look again
	expirer sync.WaitGroup

	feed feed
}

// OpenBolt opens the store in the file path, or makes it, with mode 0600. A file
// that is absent or empty is a new store; its folder must exist. ErrLocked if
// another process has it open still after a second. The caller closes the store.
func OpenBolt(path string) (*Bolt, error) {
	end := time.Now().Add(lockWait)
	lock, err := lockStore(path, end)
	if err != nil {
		return nil, err
	}
	b, err := openLocked(path, end)
	if err != nil {
		if err = errors.Join(err, lock.Unlock()); !errors.Is(err, ErrLocked) {
			err = fmt.Errorf("store: %w", err)
		}
		return nil, err
	}
	b.close = sync.OnceValue(func() error {
		close(b.closed)
		b.feed.close()
		b.expirer.Wait()
		return errors.Join(b.db.Close(), lock.Unlock())
	})
	b.expirer.Go(b.expire) // Close ends it and waits
	return b, nil
}

// lockStore takes the lock of the store in path: until end, ErrLocked then.
func lockStore(path string, end time.Time) (*flock.Flock, error) {
	lock := flock.New(path + ".lock")
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	_, err := lock.TryLockContext(ctx, lockPause)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	case err != nil:
		return nil, fmt.Errorf("store: its folder must exist and be writable: %w", err)
	}
	return lock, nil
}

// openLocked opens path, whose lock is held.
func openLocked(path string, end time.Time) (*Bolt, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0:
		err = create(path, end)
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no regular file", path)
	case err == nil:
		err = checkPath(path)
	}
	if err != nil {
		return nil, err
	}
	db, err := openFile(path, end)
	if err != nil {
		return nil, err
	}
	b := &Bolt{
		db:      db,
		writing: make(chan struct{}, 1),
		closed:  make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
	if err := b.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return b, nil
}

// create makes an empty store in path, all of it or nothing: a process that is
// killed meanwhile leaves no half file under that name.
func create(path string, end time.Time) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := openFile(fresh, end)
	if err != nil {
		return err
	}
	err = db.Update(layOut)
	if err := errors.Join(err, db.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// layOut makes an empty store of an empty file.
func layOut(tx *bolt.Tx) error {
	for _, name := range []string{bucketMeta, bucketEntries, bucketLeases, bucketLeased} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	key := []byte(keySchema)
	if err := bucket(tx, bucketMeta).Put(key, seal(key, nil, schema)); err != nil {
		return err
	}
	return writeState(tx, state{})
}

// syncFolder makes the names in a folder survive a crash.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" { // which has no such call
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openFile opens a bolt file that is new or has been checked.
func openFile(path string, end time.Time) (*bolt.DB, error) {
	options := &bolt.Options{
		Timeout:      max(time.Until(end), time.Millisecond), // 0 would be for ever
		MaxSize:      maxFile,
		NoStatistics: true,
	}
	if runtime.GOOS != "windows" { // which would make the file that large at once
		options.InitialMmapSize = maxFile
	}
	db, err := bolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	case err != nil:
		return nil, err
	}
	db.AllocSize = growStep
	return db, nil
}

// Close ends the store. It waits for the calls at work, which must not be
// its caller's.
func (b *Bolt) Close() error { return b.close() }

// begin returns why nothing can be done now.
func (b *Bolt) begin(ctx context.Context) error {
	select {
	case <-b.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// view runs fn in a read transaction.
func (b *Bolt) view(ctx context.Context, fn func(*bolt.Tx) error) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	return own(b.db.View(fn))
}

// update runs fn in a write transaction, which may use the reserve or not. It is
// the caller's turn to write.
func (b *Bolt) update(deletes bool, fn func(*bolt.Tx) error) error {
	b.db.MaxSize = maxFile - reserve
	if deletes {
		b.db.MaxSize = maxFile
	}
	return b.db.Update(fn)
}

// own turns bolt's errors into the store's.
func own(err error) error {
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, berrors.ErrMaxSizeReached):
		return fmt.Errorf("store: its file has reached its limit of %d MiB; delete entries", maxFile>>20)
	}
	return err
}
