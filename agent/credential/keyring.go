package credential

import (
	"errors"
	"fmt"
	"time"

	"github.com/zalando/go-keyring"
)

const (
	// service is what tokens are under in a keyring, each by its relay.
	service = "share"

	// keyringTime is how long a keyring may take: one that is locked asks a person,
	// who may not be there.
	keyringTime = time.Second
)

var (
	errNone   = errors.New("it has no such token")
	errSilent = fmt.Errorf("it does not answer in %v", keyringTime)
)

// A Keyring keeps secrets for the user, under a service and a name.
type Keyring struct {
	get    func(service, name string) (string, error)
	set    func(service, name, secret string) error
	delete func(service, name string) error
}

// System returns the keyring of the system. Whether there is one shows when it is
// first asked.
func System() *Keyring { return &Keyring{get: keyring.Get, set: keyring.Set, delete: keyring.Delete} }

// token returns the token for relay, or errNone.
func (k *Keyring) token(relay string) (string, error) {
	return within(func() (string, error) { return k.get(service, relay) })
}

// keep stores a token, and sees that it is there.
func (k *Keyring) keep(relay, token string) error {
	got, err := within(func() (string, error) {
		if err := k.set(service, relay, token); err != nil {
			return "", err
		}
		return k.get(service, relay)
	})
	if err == nil && got != token {
		err = errors.New("it keeps another text than it was given")
	}
	return err
}

// remove deletes the token for relay, or returns errNone.
func (k *Keyring) remove(relay string) error {
	_, err := within(func() (string, error) { return "", k.delete(service, relay) })
	return err
}

// within returns what ask does, if it takes no longer than a keyring may.
func within(ask func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	c := make(chan answer, 1)
	go func() { // ends when the keyring answers, or the process: nothing can interrupt it
		text, err := ask()
		c <- answer{text, err}
	}()
	select {
	case a := <-c:
		if errors.Is(a.err, keyring.ErrNotFound) {
			a.err = errNone
		}
		return a.text, a.err
	case <-time.After(keyringTime):
		return "", errSilent
	}
}
