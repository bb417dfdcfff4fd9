// Package account keeps who may open tunnels at a relay: the tokens that let
// agents in, each for an account, the identities that are trusted in place of
// tokens, and the names that accounts own. All of it lives in the relay's store.
package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"

	"share/relay/store"
)

// Where things are in the store.
const (
	tokenPrefix  = "token/"  // and a token's ID: a tokenRecord
	ownerPrefix  = "owner/"  // and an account: its ownerRecord
	namePrefix   = "name/"   // and a name: a Name
	trustPrefix  = "trust/"  // and a trust's ID: a Trust
	domainPrefix = "domain/" // and a domain: a Domain
	personPrefix = "person/" // and a person's key: a personRecord
	trustsKey    = "trusts"  // how many trusts were ever added
	begunKey     = "begun"   // there once the first token was shown
)

const (
	// maxAccount bounds the bytes of an account's name.
	maxAccount = 100

	// maxTries bounds how often a change is tried that others come before.
	maxTries = 100
)

var (
	// ErrToken is a token that nobody has been given, or that was revoked.
	ErrToken = errors.New("bad token")

	// ErrMistyped is what looks like a token and is none.
	ErrMistyped = errors.New("the token is mistyped or cut: its checksum is wrong")

	// ErrExpired is a token whose time is over.
	ErrExpired = errors.New("the token has expired")

	// ErrRole is a token that is good for something else.
	ErrRole = errors.New("the token has another role, and is not for this")

	// ErrShown is what an issuer has said of a person, shown a second time.
	ErrShown = errors.New("the ID token was shown before, and is taken once")

	// ErrUnknown is a token, a trust, a name or a domain that there is not.
	ErrUnknown = errors.New("not found")
)

// An InvalidError is a wish that can never be granted.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return e.Reason }

// A ConflictError is a wish that cannot be granted as things are.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }

func invalid(format string, args ...any) error {
	return &InvalidError{fmt.Sprintf(format, args...)}
}

// Accounts is what a relay knows of accounts. It may be used by many
// goroutines.
type Accounts struct {
	store store.Store
	now   func() time.Time
}

// New returns the accounts kept in s, which stays the caller's.
func New(s store.Store) *Accounts { return &Accounts{store: s, now: time.Now} }

// Backup writes all that is known of accounts to w, as store.Backup does.
func (a *Accounts) Backup(ctx context.Context, w io.Writer) error {
	return store.Backup(ctx, a.store, w)
}

// CheckAccount returns why label names no account, nil if it may.
func CheckAccount(label string) error {
	if label == "" || len(label) > maxAccount {
		return invalid("a label has 1 to %d bytes: add --label", maxAccount)
	}
	for _, r := range label {
		if !unicode.IsPrint(r) || r == ' ' || r == unicode.ReplacementChar {
			return invalid("a label is of printable characters without spaces")
		}
	}
	return nil
}

// change tries a change until no other comes before it.
func (a *Accounts) change(ctx context.Context, try func() ([]store.Check, []store.Write, error)) error {
	for range maxTries {
		checks, writes, err := try()
		if err != nil {
			return err
		}
		if _, err = a.store.Commit(ctx, checks, writes); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("change accounts: others came first %d times", maxTries)
}

// get reads the JSON at key into v, and returns its revision: 0 if there is
// none.
func (a *Accounts) get(ctx context.Context, key string, v any) (revision int64, err error) {
	e, err := a.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return e.Revision, decode(e, v)
}

// each calls fn for every entry below prefix.
func (a *Accounts) each(ctx context.Context, prefix string, fn func(store.Entry) error) error {
	for after := ""; ; {
		page, err := a.store.Range(ctx, prefix, after, store.MaxRange)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
		}
		if len(page) < store.MaxRange {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

func decode(e store.Entry, v any) error {
	if err := json.Unmarshal(e.Value, v); err != nil {
		return fmt.Errorf("entry %s: %w", e.Key, err)
	}
	return nil
}

func put(key string, v any) (store.Write, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return store.Write{}, fmt.Errorf("entry %s: %w", key, err)
	}
	return store.Write{Key: key, Value: b}, nil
}
