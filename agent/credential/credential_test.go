package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"share/tunnel/cmdline"
)

const (
	one    = "https://one.example.com"
	two    = "https://two.example.com"
	secret = "s3cret-token"
)

// fake is a keyring of this process.
type fake struct {
	mu      sync.Mutex
	secrets map[string]string // guarded by mu
	err     error             // that all answer, if not nil
}

func (f *fake) keyring() *Keyring {
	return &Keyring{
		get: func(_, name string) (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if text, ok := f.secrets[name]; ok || f.err != nil {
				return text, f.err
			}
			return "", keyring.ErrNotFound
		},
		set: func(_, name, text string) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.err == nil {
				f.secrets[name] = text
			}
			return f.err
		},
		delete: func(_, name string) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if _, ok := f.secrets[name]; !ok && f.err == nil {
				return keyring.ErrNotFound
			}
			if f.err == nil {
				delete(f.secrets, name)
			}
			return f.err
		},
	}
}

func keep(t *testing.T, s *Store, relay, token string, byDefault bool) Login {
	t.Helper()
	kept, err := s.Keep(t.Context(), relay, "ci", token, byDefault)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// wantToken has the store give want for relay.
func wantToken(t *testing.T, s *Store, relay, want string) {
	t.Helper()
	logins, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	login, ok := logins.Find(relay)
	if !ok {
		t.Fatalf("there is no login at %s", relay)
	}
	if got, err := s.Token(login); err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", relay, got, err, want)
	}
}

func wantCode(t *testing.T, err error, code int, want string) {
	t.Helper()
	e, ok := errors.AsType[*cmdline.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message+": "+e.Hint, want) {
		t.Errorf("got %v, want code %d and %q", err, code, want)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("the error has the token: %v", err)
	}
}

func TestFile(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "new", "share")}
	if logins, err := s.Load(); err != nil || len(logins.All) > 0 || logins.Default != "" {
		t.Fatalf("got %+v, %v of nothing", logins, err)
	}
	if kept := keep(t, s, one, secret, true); kept.Place != s.path() {
		t.Errorf("kept in %q", kept.Place)
	}
	keep(t, s, two, "other", false)
	wantToken(t, s, one, secret)
	wantToken(t, s, two, "other")
	keep(t, s, one, "newer", false)
	wantToken(t, s, one, "newer")
	logins, err := s.Load()
	if err != nil || logins.Default != one || len(logins.All) != 2 {
		t.Errorf("got %+v, %v", logins, err)
	}
	if _, err := s.Remove(t.Context(), one); err != nil {
		t.Error(err)
	}
	logins, err = s.Load()
	if err != nil || logins.Default != "" || len(logins.All) != 1 {
		t.Errorf("got %+v, %v", logins, err)
	}
	_, err = s.Remove(t.Context(), one)
	wantCode(t, err, cmdline.ExitFailed, "not logged in to "+one)
	if files, _ := os.ReadDir(s.Dir); len(files) != 2 { // with the lock
		t.Errorf("left behind: %v", files)
	}
}

func TestInKeyring(t *testing.T) {
	f := &fake{secrets: map[string]string{}}
	s := &Store{Dir: t.TempDir(), Keyring: f.keyring()}
	if kept := keep(t, s, one, secret, true); kept.Place != "keyring" {
		t.Errorf("kept in %q", kept.Place)
	}
	if text, err := os.ReadFile(s.path()); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("the file has %s, %v", text, err)
	}
	wantToken(t, s, one, secret)
	logins, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	login := logins.All[0]

	// Without a keyring, and with one that has lost it or does not open.
	off := &Store{Dir: s.Dir}
	_, err = off.Token(login)
	wantCode(t, err, cmdline.ExitConfig, "share login "+one)
	f.err = errors.New("locked")
	_, err = s.Token(login)
	wantCode(t, err, cmdline.ExitFailed, "locked: unlock it")
	_, err = s.Remove(t.Context(), one)
	wantCode(t, err, cmdline.ExitFailed, "locked: unlock it")
	wantStill := func() {
		t.Helper()
		if logins, err := s.Load(); err != nil || len(logins.All) != 1 {
			t.Errorf("got %+v, %v", logins, err)
		}
	}
	wantStill()
	f.err = nil
	f.secrets[one] = "a b"
	_, err = s.Token(login)
	wantCode(t, err, cmdline.ExitConfig, "no token for "+one+" any more: log in again")
	delete(f.secrets, one)
	_, err = s.Token(login)
	wantCode(t, err, cmdline.ExitConfig, "no token for "+one+" any more: log in again")

	// What moves to the file leaves nothing in the keyring.
	keep(t, s, one, secret, true)
	s.Keyring.set = func(string, string, string) error { return keyring.ErrSetDataTooBig }
	if kept := keep(t, s, one, secret, true); kept.Place != s.path() || len(f.secrets) > 0 {
		t.Errorf("kept in %q, and the keyring has %v", kept.Place, f.secrets)
	}
	s.Keyring = f.keyring()
	keep(t, s, one, secret, true)
	if left, err := off.Remove(t.Context(), one); !left || err != nil {
		t.Errorf("got %v, %v", left, err)
	}
	keep(t, s, one, secret, true)
	if left, err := s.Remove(t.Context(), one); left || err != nil || len(f.secrets) > 0 {
		t.Errorf("got %v, %v; the keyring has %v", left, err, f.secrets)
	}
}

// A keyring is given up after a second, and what it says later changes nothing.
func TestKeyringIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan struct{})
		s := &Store{Dir: t.TempDir(), Keyring: &Keyring{
			set: func(string, string, string) error {
				<-opened
				return nil
			},
			get: func(string, string) (string, error) { return secret, nil },
		}}
		began := time.Now()
		if kept := keep(t, s, one, secret, true); kept.Place != s.path() || time.Since(began) != keyringTime {
			t.Errorf("kept in %q, after %v", kept.Place, time.Since(began))
		}
		close(opened)
		synctest.Wait()
		wantToken(t, s, one, secret)
	})
}

// What cannot be written down is not left in the keyring.
func TestKeepFails(t *testing.T) {
	f := &fake{secrets: map[string]string{}}
	dir := t.TempDir()
	s := &Store{Dir: dir, Keyring: f.keyring()}
	if err := os.Mkdir(filepath.Join(dir, "credentials.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := s.Keep(t.Context(), one, "ci", secret, true)
	wantCode(t, err, cmdline.ExitConfig, "is no file")
	if len(f.secrets) > 0 {
		t.Errorf("the keyring has %v", f.secrets)
	}
	_, err = (&Store{}).Keep(t.Context(), one, "ci", secret, true)
	wantCode(t, err, cmdline.ExitConfig, "SHARE_CONFIG_DIR")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Store{Dir: t.TempDir()}).Keep(ctx, one, "ci", secret, true); err == nil {
		t.Error("kept although that was given up")
	}
}

// Two at once lose nothing of each other.
func TestAtOnce(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := s.Keep(context.Background(), fmt.Sprintf("https://r%d.example.com", i), "ci", secret, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if logins, err := s.Load(); err != nil || len(logins.All) != 8 {
		t.Errorf("got %+v, %v", logins, err)
	}
}

func TestTooMany(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	logins := &Logins{}
	for i := range maxLogins {
		logins.All = append(logins.All, Login{Relay: fmt.Sprintf("https://r%d.example.com", i), token: secret})
	}
	if err := write(s.path(), render(logins)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Keep(t.Context(), one, "ci", secret, false)
	wantCode(t, err, cmdline.ExitFailed, "100 logins already")
	keep(t, s, "https://r7.example.com", "newer", false)
	wantToken(t, s, "https://r7.example.com", "newer")
}
