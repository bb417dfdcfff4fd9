package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A Trust is the list of relays that get the user's token though only a project's
// file names them.
type Trust struct {
	path string
}

const (
	// maxTrust bounds the file of a Trust.
	maxTrust = 1 << 20

	// lockWait bounds the wait for others who change it, which takes them a moment.
	lockWait = 10 * time.Second
)

// OpenTrust returns the list that the state folder dir keeps. If dir is empty,
// nothing is trusted.
func OpenTrust(dir string) Trust {
	if dir == "" {
		return Trust{}
	}
	return Trust{filepath.Join(dir, "trusted-relays")}
}

// Relays are those on the list.
func (t Trust) Relays() ([]string, error) {
	if t.path == "" {
		return nil, nil
	}
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Size() > maxTrust:
		return nil, fmt.Errorf("%s has more than %d bytes", t.path, maxTrust)
	}
	text, err := os.ReadFile(t.path)
	return strings.Fields(string(text)), err
}

// Add puts relay on the list, as agent.RelayURL writes it.
func (t Trust) Add(ctx context.Context, relay string) error {
	if t.path == "" {
		return errors.New("there is no state folder to keep it in")
	}
	relays, err := t.Relays()
	if err != nil || slices.Contains(relays, relay) {
		return err
	}
	return t.change(ctx, func(relays []string) []string {
		if slices.Contains(relays, relay) {
			return relays
		}
		return append(relays, relay)
	})
}

// Remove takes relay off the list, and reports whether it was there.
func (t Trust) Remove(ctx context.Context, relay string) (bool, error) {
	relays, err := t.Relays()
	if err != nil || !slices.Contains(relays, relay) {
		return false, err
	}
	return true, t.change(ctx, func(relays []string) []string {
		return slices.DeleteFunc(relays, func(r string) bool { return r == relay })
	})
}

// change has edit change the list, one process after the other.
func (t Trust) change(ctx context.Context, edit func([]string) []string) error {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock := flock.New(t.path + ".lock")
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("lock list of relays: %w", err)
	}
	defer lock.Unlock() // the descriptor is closed in any case
	relays, err := t.Relays()
	if err != nil {
		return err
	}
	return t.write(edit(relays))
}

// write replaces the list at once.
func (t Trust) write(relays []string) error {
	f, err := os.CreateTemp(filepath.Dir(t.path), filepath.Base(t.path)+".*") // 0600
	if err != nil {
		return err
	}
	for _, relay := range relays {
		if err == nil {
			_, err = fmt.Fprintln(f, relay)
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), t.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
