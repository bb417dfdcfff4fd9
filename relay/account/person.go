package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"

	"share/relay/store"
)

const (
	// maxLogins bounds the tokens that a person has logged in for, one for each
	// machine. When there are as many, the oldest makes room.
	maxLogins = 5

	// maxShown bounds the logins of a person within minutes.
	maxShown = 16

	// keyBytes of a person's digest are the key, keyDigits of that in the account:
	// so many that nobody who may choose a subject finds one with another's account.
	keyBytes  = 16
	keyDigits = 20

	// maxPersonName bounds what the account has of a person's name.
	maxPersonName = maxAccount - 1 - keyDigits
)

// A Person is who has logged in, as an issuer says. It has been verified.
type Person struct {
	Issuer  string
	Subject string
	Claims  map[string][]string

	Digest [sha256.Size]byte // of what the issuer has said this time
	Until  time.Time         // when it is too late to show that
}

// A personRecord is what the store has of a person.
type personRecord struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Account string `json:"account"`

	// Shown has until when what the person showed must not be shown again, by its
	// digest.
	Shown map[string]time.Time `json:"shown,omitempty"`
}

// key is the same for a person whatever the name is.
func (p *Person) key() string {
	d := sha256.Sum256([]byte(p.Issuer + "\n" + p.Subject)) // an issuer has no line end
	return hex.EncodeToString(d[:keyBytes])
}

// name is what people call a person: the e-mail address, if it is verified, or else
// what the issuer has for it.
func (p *Person) name() string {
	for _, claim := range []string{"email", "preferred_username", "name", "sub"} {
		values := p.Claims[claim]
		if len(values) != 1 || claim == "email" && !p.verified() {
			continue
		}
		name := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) || r == ' ' || r == unicode.ReplacementChar {
				return -1
			}
			return r
		}, values[0])
		for len(name) > maxPersonName {
			name = name[:strings.LastIndexFunc(name, func(rune) bool { return true })]
		}
		if name != "" {
			return name
		}
	}
	return "person"
}

// verified reports whether the issuer has seen that the e-mail address is the
// person's, which says so of one.
func (p *Person) verified() bool {
	return len(p.Claims["email"]) == 1 && slices.Equal(p.Claims["email_verified"], []string{"true"})
}

// LogIn makes a token that lasts for a time, for the account of a person, which is
// the same at each login: it has the name that the person had at the first. What the
// issuer has said is taken once: else the error is ErrShown. Whether the person may
// is for the caller to know.
func (a *Accounts) LogIn(ctx context.Context, p Person, lasts time.Duration) (secret string, t Token, err error) {
	key := p.key()
	shown := base64.RawURLEncoding.EncodeToString(p.Digest[:])
	err = a.change(ctx, func() ([]store.Check, []store.Write, error) {
		now := a.now().UTC().Truncate(time.Second)
		var known personRecord
		revision, err := a.get(ctx, personPrefix+key, &known)
		if err != nil {
			return nil, nil, err
		}
		if revision == 0 {
			known = personRecord{Issuer: p.Issuer, Subject: p.Subject, Account: p.name() + "~" + key[:keyDigits]}
		}
		if err := known.show(shown, p.Until, now); err != nil {
			return nil, nil, err
		}
		t = Token{Account: known.Account, Created: now, Expires: now.Add(lasts), Login: true}
		if err := t.check(now); err != nil {
			return nil, nil, err
		}
		var checks []store.Check
		var writes []store.Write
		if secret, checks, writes, err = a.create(ctx, &t); err != nil {
			return nil, nil, err
		}
		person, err := put(personPrefix+key, known)
		return append(checks, store.Check{Key: person.Key, Revision: revision}), append(writes, person), err
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// show notes that something was shown, or returns why it must not be.
func (r *personRecord) show(what string, until, now time.Time) error {
	shown := map[string]time.Time{what: until}
	for old, until := range r.Shown {
		if old == what {
			return ErrShown
		}
		if !now.After(until) {
			shown[old] = until
		}
	}
	if len(shown) > maxShown {
		return &ConflictError{r.Account + " has logged in too often: wait some minutes"}
	}
	r.Shown = shown
	return nil
}

// logins is how many of tokens a person has logged in for.
func logins(tokens []Token) (n int) {
	for _, t := range tokens {
		if t.Login {
			n++
		}
	}
	return n
}

// yield takes from tokens, of which the oldest is the first, those of logins for which
// there is no room with one more, and adds to writes what makes that so.
func yield(tokens []Token, writes []store.Write) (rest []Token, _ []store.Write) {
	over := logins(tokens) + 1 - maxLogins
	for _, t := range tokens {
		if t.Login && over > 0 {
			over--
			writes = append(writes, store.Write{Key: tokenPrefix + t.ID, Delete: true})
			continue
		}
		rest = append(rest, t)
	}
	return rest, writes
}
