package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"share/relay/account"
	"share/relay/store"
	"share/tunnel/local"
)

// ErrInUse is why a data folder cannot be opened that another relay runs with.
var ErrInUse = errors.New("another relay runs with it")

// ErrHasState is why a backup is not restored into a data folder.
var ErrHasState = errors.New("it has a relay's state already")

// A Data is a relay's folder: the store of its accounts, and the socket at
// which operators' commands come in. Nobody but the user may look inside.
type Data struct {
	Accounts *account.Accounts
	Admin    net.Listener  // closed by Close, if not before
	Socket   string        // the path of Admin
	Store    *store.Lender // of Accounts
}

// OpenData opens the data folder dir, and makes it if there is none. The error
// is ErrInUse if another relay has it.
func OpenData(dir string) (*Data, error) { return (*Sockets)(nil).OpenData(dir) }

// OpenData opens a data folder whose socket was given, or is kept with the others.
func (s *Sockets) OpenData(dir string) (*Data, error) {
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	socket := SocketPath(dir)
	db, err := store.OpenLender(databasePath(dir))
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("data folder %s: %w", dir, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	data := &Data{Accounts: account.New(db), Socket: socket, Store: db}
	if data.Admin = s.operators(); data.Admin != nil {
		return data, nil
	}
	// Who has the store has the folder: a socket that is there is a dead
	// relay's.
	for _, path := range []string{socket, local.Unborn(socket)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			db.Close()
			return nil, err
		}
	}
	if data.Admin, err = local.Listen(socket); err != nil {
		db.Close()
		return nil, err
	}
	s.keepOperators(data.Admin)
	return data, nil
}

// RestoreData puts a backup into the data folder dir, which it makes if there
// is none. The error is ErrInUse if a relay runs with the folder, ErrHasState if
// there is something in it already; with replace that is kept, in a file of the
// folder that is returned. It is a *store.BackupError if the backup cannot be
// restored. After any error what was there is there.
func RestoreData(ctx context.Context, dir string, backup io.Reader, replace bool) (kept string, err error) {
	if err := makePrivate(dir); err != nil {
		return "", err
	}
	kept, err = store.RestoreBolt(ctx, databasePath(dir), backup, replace)
	switch {
	case errors.Is(err, store.ErrLocked):
		err = fmt.Errorf("data folder %s: %w", dir, ErrInUse)
	case errors.Is(err, store.ErrExists):
		err = fmt.Errorf("data folder %s: %w", dir, ErrHasState)
	}
	return kept, err
}

// CheckData returns what is wrong with the database in the data folder dir: an
// error that has ErrInUse in its chain if a relay runs with it, fs.ErrNotExist if
// there is none.
func CheckData(dir string) error {
	if _, err := os.Stat(databasePath(dir)); err != nil {
		return err
	}
	db, err := store.OpenBolt(databasePath(dir))
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("data folder %s: %w", dir, ErrInUse)
	}
	if err != nil {
		return err
	}
	return db.Close()
}

// makePrivate makes the folder dir, and returns an error if others may look
// into the one that is there.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("data folder %s is open to others, with mode %#o: it keeps secrets, and wants 0700", dir, mode)
	}
	return nil
}

// Close closes the folder. What Serve was given of it must have ended.
func (d *Data) Close() error {
	closed := d.Admin.Close()
	if errors.Is(closed, net.ErrClosed) {
		closed = nil
	}
	return errors.Join(closed, d.Store.Close())
}

func databasePath(dir string) string { return filepath.Join(dir, "relay.db") }

// SocketPath is where the relay with the data folder dir takes commands.
func SocketPath(dir string) string { return filepath.Join(dir, "admin.sock") }
