package agent

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"share/tunnel/cmdline"
)

const (
	keyLen  = 32
	seedLen = 10 // 80 bits: nobody meets another's name by chance or by trying

	// keyWait bounds the wait for another agent that makes the key.
	keyWait = 2 * time.Second
)

// state is the folder that makes an agent the same tomorrow: it keeps the key
// from which names and the holder's id are derived, and the locks on names. One
// without a folder is new in each process.
type state struct {
	dir string // empty if nothing is kept
	key []byte
}

// openState opens the folder and makes it, and its key, if they are missing.
// The error is a *cmdline.Error if the key is damaged; any other says that the folder
// cannot be used.
func openState(ctx context.Context, dir string) (*state, error) {
	if dir == "" {
		return newState(), nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "locks"), 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	path := filepath.Join(dir, "key")
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	return &state{dir, key}, nil
}

// CheckState returns what keeps agents from using a state folder. It makes nothing
// that stays: fs.ErrNotExist is in the error's chain if there is no folder yet.
func CheckState(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	f, err := os.CreateTemp(dir, "doctor.*")
	if err != nil {
		return err
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := readKey(filepath.Join(dir, "key")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// newState returns a state that lasts as long as the process.
func newState() *state {
	key := make([]byte, keyLen)
	rand.Read(key) // never fails (crypto/rand)
	return &state{key: key}
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keyLen {
		return nil, &cmdline.Error{
			Code:    cmdline.ExitConfig,
			Message: "the key in " + path + " is damaged",
			Hint:    "restore it, or remove it: the names derived from it will change",
		}
	}
	return key, nil
}

// makeKey writes a new key, or returns the one that another agent wrote
// meanwhile. Whoever reads the file sees a whole key or none.
func makeKey(ctx context.Context, path string) (key []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock key: %w", err)
	}
	defer lock.Unlock()
	if key, err := readKey(path); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = newState().key
	if err := writeFile(path, []byte(hex.EncodeToString(key)+"\n"), true); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return key, nil
}

// writeFile replaces the file at path at once, for its owner alone; a durable
// one has reached the disk when it returns.
func writeFile(path string, data []byte, durable bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// holder is the id under which agents of this folder hold names.
func (s *state) holder() string { return hex.EncodeToString(s.derive("holder")[:16]) }

// seed is what the relay derives the tunnel's name from: the same for the same
// folder and target, and a secret to all who do not have the key.
func (s *state) seed(folder, target string) string {
	sum := s.derive("seed", folder, target)
	return seedEncoding.EncodeToString(sum[:seedLen])
}

var seedEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (s *state) derive(parts ...string) []byte {
	mac := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		fmt.Fprintf(mac, "%d:%s", len(p), p)
	}
	return mac.Sum(nil)
}
