package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Lender is a Bolt that another process can have for a while, or for good.
// Calls wait while it is lent; a Watch that was at work returns ErrCompacted once
// it is back, as others may have written.
type Lender struct {
	path string

	mu      sync.Mutex
	bolt    *Bolt         // guarded by mu; nil while it is lent
	changed chan struct{} // guarded by mu; closed when bolt is back, or closed set
	closed  bool          // guarded by mu
	reading int           // guarded by mu; snapshots under way
	read    chan struct{} // guarded by mu; closed when there is none any more, nil before the first
}

// OpenLender opens the store in the file path as OpenBolt does.
func OpenLender(path string) (*Lender, error) {
	b, err := OpenBolt(path)
	if err != nil {
		return nil, err
	}
	return &Lender{path: path, bolt: b, changed: make(chan struct{})}, nil
}

// Lend closes the file, so that another process can open it. Calls at work end
// first; they must not be its caller's. A snapshot may take as long as who reads it:
// if one is under way still when ctx ends, nothing is lent. After another error the
// store is, until Recall.
func (l *Lender) Lend(ctx context.Context) error {
	l.mu.Lock()
	for l.reading > 0 {
		read := l.read
		l.mu.Unlock()
		select {
		case <-read:
		case <-ctx.Done():
			return errReading
		}
		l.mu.Lock()
	}
	b := l.bolt
	l.bolt = nil
	closed := l.closed
	l.mu.Unlock()
	if b == nil || closed {
		return ErrClosed
	}
	return b.Close()
}

// errReading is why a store is not lent.
var errReading = errors.New("store: a backup is being read")

// Recall opens the file again. It may be called once more after an error, which
// is ErrLocked while the other process has it open.
func (l *Lender) Recall() error {
	b, err := OpenBolt(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.bolt != nil {
		return errors.Join(ErrClosed, b.Close())
	}
	l.bolt = b
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// Here reports whether the store is not lent.
func (l *Lender) Here() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bolt != nil || l.closed
}

// Close is Store's. One that is lent stays the other process's.
func (l *Lender) Close() error {
	l.mu.Lock()
	b := l.bolt
	l.bolt = nil
	if !l.closed {
		l.closed = true
		close(l.changed)
	}
	l.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.Close()
}

// present returns the store, once it is there.
func (l *Lender) present(ctx context.Context) (*Bolt, error) {
	for {
		l.mu.Lock()
		b, changed, closed := l.bolt, l.changed, l.closed
		l.mu.Unlock()
		switch {
		case closed:
			return nil, ErrClosed
		case b != nil:
			return b, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lent has fn called with the store, again if it was lent before fn came to do
// anything.
func lent[T any](ctx context.Context, l *Lender, fn func(*Bolt) (T, error)) (v T, err error) {
	for {
		b, err := l.present(ctx)
		if err != nil {
			return v, err
		}
		if v, err = fn(b); !errors.Is(err, ErrClosed) {
			return v, err
		}
	}
}

// nothing is what a call returns beside its error that returns no more.
type nothing = struct{}

// Get is Store's.
func (l *Lender) Get(ctx context.Context, key string) (Entry, error) {
	return lent(ctx, l, func(b *Bolt) (Entry, error) { return b.Get(ctx, key) })
}

// Range is Store's.
func (l *Lender) Range(ctx context.Context, prefix, after string, limit int) ([]Entry, error) {
	return lent(ctx, l, func(b *Bolt) ([]Entry, error) { return b.Range(ctx, prefix, after, limit) })
}

// Commit is Store's.
func (l *Lender) Commit(ctx context.Context, checks []Check, writes []Write) (int64, error) {
	return lent(ctx, l, func(b *Bolt) (int64, error) { return b.Commit(ctx, checks, writes) })
}

// Grant is Store's.
func (l *Lender) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	return lent(ctx, l, func(b *Bolt) (Lease, error) { return b.Grant(ctx, ttl) })
}

// Renew is Store's.
func (l *Lender) Renew(ctx context.Context, lease Lease) error {
	_, err := lent(ctx, l, func(b *Bolt) (nothing, error) { return nothing{}, b.Renew(ctx, lease) })
	return err
}

// Revoke is Store's.
func (l *Lender) Revoke(ctx context.Context, lease Lease) error {
	_, err := lent(ctx, l, func(b *Bolt) (nothing, error) { return nothing{}, b.Revoke(ctx, lease) })
	return err
}

// Watch is Store's.
func (l *Lender) Watch(ctx context.Context, prefix string, after int64, fn func(Event) error) error {
	b, err := l.present(ctx)
	if err != nil {
		return err
	}
	var own error // of fn, which may be any
	err = b.Watch(ctx, prefix, after, func(e Event) error {
		own = fn(e)
		return own
	})
	if own != nil || !errors.Is(err, ErrClosed) {
		return err
	}
	if _, err := l.present(ctx); err != nil {
		return err
	}
	return ErrCompacted
}

// Snapshot is Store's.
func (l *Lender) Snapshot(ctx context.Context, fn func(Entry) error) (int64, error) {
	for {
		b, err := l.present(ctx)
		if err != nil {
			return 0, err
		}
		begun := false
		revision, err := l.snapshot(ctx, b, func(e Entry) error {
			begun = true
			return fn(e)
		})
		if begun || !errors.Is(err, ErrClosed) {
			return revision, err
		}
	}
}

// snapshot is b's Snapshot, which Lend waits for.
func (l *Lender) snapshot(ctx context.Context, b *Bolt, fn func(Entry) error) (int64, error) {
	l.mu.Lock()
	if l.reading++; l.reading == 1 {
		l.read = make(chan struct{})
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.reading--; l.reading == 0 {
			close(l.read)
		}
	}()
	return b.Snapshot(ctx, fn)
}
