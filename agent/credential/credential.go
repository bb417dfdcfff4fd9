// Package credential keeps the tokens that the user was given for relays, in the
// system's keyring or in a file that nobody else can read.
package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"share/agent"
	"share/tunnel/cmdline"
)

const (
	// maxLogins bounds the relays of a store.
	maxLogins = 100

	// lockTime bounds the wait for another process that changes the store: it may
	// have to ask a keyring.
	lockTime = 10 * time.Second

	lockPause = 20 * time.Millisecond
)

// ErrDamaged is a file of logins that is none.
var ErrDamaged = errors.New("it is damaged")

// A Store is where one user's logins are. Its methods may be called by many
// processes. Their errors are *cmdline.Errors.
type Store struct {
	// Dir is the folder of the file that lists the logins. If empty, there are
	// none, and none can be kept.
	Dir string

	// Keyring keeps tokens, where it answers. If nil, the file does.
	Keyring *Keyring
}

// Logins are all that a store has.
type Logins struct {
	Default string  // the relay to use where none is named; empty if there is none
	All     []Login // sorted by relay
}

// A Login is a relay that there is a token for.
type Login struct {
	Relay   string // as agent.RelayURL has it
	Account string // the token's label, as the relay said when it was kept
	Place   string // of the token: "keyring", or the file's path

	token string // empty if the keyring has it
}

// Find returns the login at relay.
func (l *Logins) Find(relay string) (login Login, ok bool) {
	i := slices.IndexFunc(l.All, func(login Login) bool { return login.Relay == relay })
	if i < 0 {
		return Login{}, false
	}
	return l.All[i], true
}

// inKeyring is the Place of a token that the keyring has.
const inKeyring = "keyring"

func (s *Store) path() string { return filepath.Join(s.Dir, "credentials.json") }

// Load returns what is kept, without the tokens that are in the keyring, which it
// does not ask. A file that others can read, or that is damaged, is an error.
func (s *Store) Load() (*Logins, error) {
	if s.Dir == "" {
		return &Logins{}, nil
	}
	text, err := read(s.path())
	if err != nil || text == nil {
		return &Logins{}, err
	}
	logins, err := parse(text, s.path())
	switch {
	case errors.Is(err, ErrDamaged):
		return nil, cmdline.Unusable("share login RELAY writes it anew", fmt.Errorf("%s: %w", s.path(), err))
	case err != nil:
		return nil, cmdline.Unusable("install the version of share that has written it", fmt.Errorf("%s: %w", s.path(), err))
	}
	return logins, nil
}

// Token returns the token of a login that Load has returned.
func (s *Store) Token(l Login) (string, error) {
	again := "log in again: share login " + l.Relay
	if l.Place != inKeyring {
		return l.token, nil
	}
	if s.Keyring == nil {
		return "", cmdline.Unusable("do not set SHARE_KEYRING=off, or "+again, fmt.Errorf("the token for %s is in the keyring, and there is none to ask", l.Relay))
	}
	token, err := s.Keyring.token(l.Relay)
	switch {
	case errors.Is(err, errNone), err == nil && (token == "" || !agent.ValidToken(token)):
		return "", cmdline.Unusable(again, fmt.Errorf("the keyring has no token for %s any more", l.Relay))
	case err != nil:
		return "", cmdline.Failed("unlock it, or have a file in its place: SHARE_KEYRING=off share login "+l.Relay, fmt.Errorf("the keyring, which has the token for %s: %w", l.Relay, err))
	}
	return token, nil
}

// Keep stores a token for a relay, in place of one that there was, and makes it the
// default relay if byDefault says so. What is damaged is written anew.
func (s *Store) Keep(ctx context.Context, relay, account, token string, byDefault bool) (kept Login, err error) {
	kept = Login{Relay: relay, Account: account, Place: inKeyring}
	fresh := false
	err = s.change(ctx, func(logins *Logins) error {
		old, known := logins.Find(relay)
		if !known && len(logins.All) == maxLogins {
			return cmdline.Failed("share logout one of them", fmt.Errorf("there are %d logins already", maxLogins))
		}
		if s.Keyring == nil || s.Keyring.keep(relay, token) != nil {
			kept.Place, kept.token = s.path(), token
			if known && old.Place == inKeyring && s.Keyring != nil {
				_ = s.Keyring.remove(relay) // it did not answer, or did not take this one: the file counts
			}
		}
		fresh = !known && kept.Place == inKeyring
		logins.All = append(slices.DeleteFunc(logins.All, func(l Login) bool { return l.Relay == relay }), kept)
		if byDefault {
			logins.Default = relay
		}
		return nil
	})
	if err != nil && fresh {
		_ = s.Keyring.remove(relay) // the error says that nothing was kept
	}
	return kept, err
}

// Remove forgets the login at relay. left says that a keyring that could not be
// asked, for there is none, may still have the token.
func (s *Store) Remove(ctx context.Context, relay string) (left bool, err error) {
	err = s.change(ctx, func(logins *Logins) error {
		login, ok := logins.Find(relay)
		if !ok {
			return cmdline.Failed("", fmt.Errorf("not logged in to %s", relay))
		}
		if left = login.Place == inKeyring && s.Keyring == nil; login.Place == inKeyring && !left {
			if err := s.Keyring.remove(relay); err != nil && !errors.Is(err, errNone) {
				return cmdline.Failed("unlock it, or leave the token in it: SHARE_KEYRING=off share logout "+relay, fmt.Errorf("the keyring, which has the token for %s: %w", relay, err))
			}
		}
		logins.All = slices.DeleteFunc(logins.All, func(l Login) bool { return l.Relay == relay })
		if logins.Default == relay {
			logins.Default = ""
		}
		return nil
	})
	return left, err
}

// change has fn change the logins while no other process does, and writes them.
func (s *Store) change(ctx context.Context, fn func(*Logins) error) error {
	const hint = "share login wants a folder that it can write to: set SHARE_CONFIG_DIR"
	if s.Dir == "" {
		return cmdline.Unusable(hint, errors.New("there is no config folder"))
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return cmdline.Unusable(hint, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock := flock.New(s.path() + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return cmdline.Unusable(hint, fmt.Errorf("lock %s: %w", s.path(), err))
	}
	defer lock.Unlock()
	logins, err := s.Load()
	if errors.Is(err, ErrDamaged) {
		logins, err = &Logins{}, nil
	}
	if err == nil {
		err = fn(logins)
	}
	if err != nil {
		return err
	}
	if err := write(s.path(), render(logins)); err != nil {
		return cmdline.Unusable(hint, err)
	}
	return nil
}
