package acme

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/caddyserver/certmagic"
)

// A folder keeps certificates and keys as files that only the user can read.
// One relay at a time has it: locks are this process's.
type folder struct {
	*certmagic.FileStorage

	mu    sync.Mutex
	locks map[string]chan struct{} // guarded by mu; closed when the lock is free
}

// openFolder opens a folder that can be written to.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(path, "writable-*")
	if err != nil {
		return nil, fmt.Errorf("certificates cannot be kept: %w", err)
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("certificates cannot be kept: %w", err)
	}
	return &folder{FileStorage: &certmagic.FileStorage{Path: path}, locks: make(map[string]chan struct{})}, nil
}

// Lock takes the lock name, or returns ctx's error.
func (f *folder) Lock(ctx context.Context, name string) error {
	for {
		f.mu.Lock()
		held := f.locks[name]
		if held == nil {
			f.locks[name] = make(chan struct{})
			f.mu.Unlock()
			return nil
		}
		f.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryLock takes the lock name if it is free.
func (f *folder) TryLock(_ context.Context, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] != nil {
		return false, nil
	}
	f.locks[name] = make(chan struct{})
	return true, nil
}

// Unlock gives the lock name back.
func (f *folder) Unlock(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.locks[name]
	if held == nil {
		return fmt.Errorf("lock %s is not held", name)
	}
	delete(f.locks, name)
	close(held)
	return nil
}
