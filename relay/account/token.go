package account

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"share/relay/store"
)

const (
	// maxLive bounds the tokens of an account: one in use, and the next while
	// it is being brought to where the first is used.
	maxLive = 2

	// maxPatterns bounds the patterns of a token.
	maxPatterns = 32

	// idBytes of a token's digest are its ID.
	idBytes = 8

	// firstAccount has the first token.
	firstAccount = "default"
)

// A Role is what a token is good for.
type Role string

const (
	RoleAgent   Role = ""        // it lets agents in
	RoleAdmin   Role = "admin"   // it lets operators do all, from elsewhere too
	RoleMetrics Role = "metrics" // it lets what watches the relay read its metrics
)

// A Token lets agents in for an account, or operators as its Role says. Its
// secret is shown once, when it is made.
type Token struct {
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Created time.Time `json:"created"`
	Role    Role      `json:"role,omitempty"`

	// Names are the patterns of the names that it may bind, all if there is
	// none.
	Names []string `json:"names,omitempty"`

	// Expires is when it ends, never if zero.
	Expires time.Time `json:"expires,omitzero"`

	// Login says that a person has logged in for it.
	Login bool `json:"login,omitempty"`

	// MaxTunnels bounds the tunnels that are open with it. If zero, only the
	// account's names do.
	MaxTunnels int `json:"max_tunnels,omitempty"`

	// MaxExchanges bounds the exchanges that are open with it at a time,
	// RequestsPerSecond and BytesPerSecond what its tunnels carry: bytes of
	// bodies, both ways together. What is zero is not bounded.
	MaxExchanges      int   `json:"max_exchanges,omitempty"`
	RequestsPerSecond int   `json:"requests_per_second,omitempty"`
	BytesPerSecond    int64 `json:"bytes_per_second,omitempty"`
}

// A tokenRecord is what the store has of a token.
type tokenRecord struct {
	Token
	Digest string `json:"digest"` // of the secret, hexadecimal
}

// An ownerRecord is what the store has of an account.
type ownerRecord struct {
	Tokens []string `json:"tokens"` // IDs
}

// Expired reports whether the token's time is over.
func (t *Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// MayBind reports whether the token is good for a name.
func (t *Token) MayBind(name string) bool {
	return len(t.Names) == 0 || slices.ContainsFunc(t.Names, func(p string) bool { return match(p, name) })
}

// check returns why there can be no such token.
func (t *Token) check(now time.Time) error {
	if err := CheckAccount(t.Account); err != nil {
		return err
	}
	if len(t.Names) > maxPatterns {
		return invalid("a token has at most %d patterns of names", maxPatterns)
	}
	for _, p := range t.Names {
		if err := CheckPattern(p); err != nil {
			return err
		}
	}
	switch {
	case t.Role != RoleAgent && t.Role != RoleAdmin && t.Role != RoleMetrics:
		return invalid("a token's role is admin or metrics, or none for agents")
	case t.Expired(now):
		return invalid("the token would have expired already")
	case t.MaxTunnels < 0:
		return invalid("the number of tunnels is negative")
	case t.MaxExchanges < 0:
		return invalid("the number of exchanges is negative")
	case t.RequestsPerSecond < 0:
		return invalid("the number of requests a second is negative")
	case t.BytesPerSecond < 0:
		return invalid("the number of bytes a second is negative")
	case t.Role != RoleAgent && (len(t.Names) > 0 || t.MaxTunnels > 0 || t.MaxExchanges > 0 || t.RequestsPerSecond > 0 || t.BytesPerSecond > 0):
		return invalid("a token of the role %s opens no tunnels, and has neither names nor quotas", t.Role)
	}
	return nil
}

// Create makes a token of t's Account, Role, Names, Expires and quotas, and
// returns it with its secret. An account has two at most that are live: else
// the error is a *ConflictError. An *InvalidError says what is wrong with t.
func (a *Accounts) Create(ctx context.Context, t Token) (secret string, _ Token, err error) {
	t.Created = a.now().UTC().Truncate(time.Second)
	if err := t.check(t.Created); err != nil {
		return "", Token{}, err
	}
	err = a.change(ctx, func() (checks []store.Check, writes []store.Write, err error) {
		secret, checks, writes, err = a.create(ctx, &t)
		return checks, writes, err
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// create returns the secret of a new token t, and what makes it.
func (a *Accounts) create(ctx context.Context, t *Token) (secret string, checks []store.Check, writes []store.Write, err error) {
	var owner ownerRecord
	revision, err := a.get(ctx, ownerPrefix+t.Account, &owner)
	if err != nil {
		return "", nil, nil, err
	}
	live, writes, err := a.live(ctx, owner)
	if err != nil {
		return "", nil, nil, err
	}
	if t.Login {
		live, writes = yield(live, writes)
	} else if n := len(live) - logins(live); n >= maxLive {
		return "", nil, nil, &ConflictError{fmt.Sprintf("%s has %d tokens: revoke one first", t.Account, n)}
	}
	secret = newSecret()
	d := digest(secret)
	t.ID = hex.EncodeToString(d[:idBytes])
	token, err := put(tokenPrefix+t.ID, tokenRecord{*t, hex.EncodeToString(d[:])})
	if err != nil {
		return "", nil, nil, err
	}
	owner.Tokens = nil
	for _, l := range append(live, *t) {
		owner.Tokens = append(owner.Tokens, l.ID)
	}
	tokens, err := put(ownerPrefix+t.Account, owner)
	if err != nil {
		return "", nil, nil, err
	}
	return secret, []store.Check{{Key: tokens.Key, Revision: revision}, {Key: token.Key}}, append(writes, token, tokens), nil
}

// live returns an account's tokens that have not expired, the oldest first, and the
// writes that take the others away.
func (a *Accounts) live(ctx context.Context, owner ownerRecord) (live []Token, expired []store.Write, err error) {
	for _, id := range owner.Tokens {
		var t tokenRecord
		revision, err := a.get(ctx, tokenPrefix+id, &t)
		switch {
		case err != nil:
			return nil, nil, err
		case revision == 0:
		case t.Expired(a.now()):
			expired = append(expired, store.Write{Key: tokenPrefix + id, Delete: true})
		default:
			live = append(live, t.Token)
		}
	}
	return live, expired, nil
}

// Tokens returns all tokens, by account and age, expired ones too.
func (a *Accounts) Tokens(ctx context.Context) ([]Token, error) {
	tokens := []Token{}
	err := a.each(ctx, tokenPrefix, func(e store.Entry) error {
		var t tokenRecord
		if err := decode(e, &t); err != nil {
			return err
		}
		tokens = append(tokens, t.Token)
		return nil
	})
	// The compiler writes slices.SortFunc anew for each type of structure.
	sort.Slice(tokens, func(i, j int) bool {
		x, y := &tokens[i], &tokens[j]
		return cmp.Or(cmp.Compare(x.Account, y.Account), x.Created.Compare(y.Created), cmp.Compare(x.ID, y.ID)) < 0
	})
	return tokens, err
}

// Revoke takes a token away by its ID. ErrUnknown if there is none.
func (a *Accounts) Revoke(ctx context.Context, id string) (Token, error) {
	var t tokenRecord
	err := a.change(ctx, func() ([]store.Check, []store.Write, error) {
		t = tokenRecord{}
		if !isID(id) {
			return nil, nil, fmt.Errorf("token %.64q: %w", id, ErrUnknown)
		}
		revision, err := a.get(ctx, tokenPrefix+id, &t)
		if err != nil {
			return nil, nil, err
		}
		if revision == 0 {
			return nil, nil, fmt.Errorf("token %s: %w", id, ErrUnknown)
		}
		var owner ownerRecord
		owned, err := a.get(ctx, ownerPrefix+t.Account, &owner)
		if err != nil {
			return nil, nil, err
		}
		rest := slices.DeleteFunc(owner.Tokens, func(o string) bool { return o == id })
		tokens := store.Write{Key: ownerPrefix + t.Account, Delete: true}
		if len(rest) > 0 {
			if tokens, err = put(tokens.Key, ownerRecord{rest}); err != nil {
				return nil, nil, err
			}
		}
		return []store.Check{{Key: tokenPrefix + id, Revision: revision}, {Key: tokens.Key, Revision: owned}},
			[]store.Write{{Key: tokenPrefix + id, Delete: true}, tokens}, nil
	})
	return t.Token, err
}

// isID reports whether s has the form of a token's ID.
func isID(s string) bool {
	return len(s) == 2*idBytes && strings.Trim(s, "0123456789abcdef") == ""
}

// Authenticate returns the token of an agent's secret: ErrToken, ErrMistyped,
// ErrExpired or ErrRole if it lets none in.
func (a *Accounts) Authenticate(ctx context.Context, secret string) (Token, error) {
	t, err := a.find(ctx, secret)
	if err == nil && t.Role != RoleAgent {
		return Token{}, ErrRole
	}
	return t, err
}

// AuthenticateOperator is Authenticate for a token that is no agent's.
func (a *Accounts) AuthenticateOperator(ctx context.Context, secret string) (Token, error) {
	t, err := a.find(ctx, secret)
	if err == nil && t.Role == RoleAgent {
		return Token{}, ErrRole
	}
	return t, err
}

// find returns the token of a secret, whatever it is good for.
func (a *Accounts) find(ctx context.Context, secret string) (Token, error) {
	if !wellFormed(secret) {
		if strings.HasPrefix(secret, SecretPrefix) {
			return Token{}, ErrMistyped
		}
		return Token{}, ErrToken
	}
	d := digest(secret)
	var t tokenRecord
	revision, err := a.get(ctx, tokenPrefix+hex.EncodeToString(d[:idBytes]), &t)
	switch {
	case err != nil:
		return Token{}, err
	case revision == 0, subtle.ConstantTimeCompare([]byte(t.Digest), []byte(hex.EncodeToString(d[:]))) != 1:
		return Token{}, ErrToken
	case t.Expired(a.now()):
		return Token{}, ErrExpired
	}
	return t.Token, nil
}

// Lives reports whether a token is neither revoked nor expired. It may be that of
// a trust, which lives until it is removed.
func (a *Accounts) Lives(ctx context.Context, id string) (bool, error) {
	var t tokenRecord
	revision, err := a.get(ctx, tokenPrefix+id, &t)
	if err != nil || revision != 0 {
		return !t.Expired(a.now()), err
	}
	var trust Trust
	revision, err = a.get(ctx, trustPrefix+id, &trust)
	return revision != 0, err
}

// First makes a token the first time that it is called for a store, and gives
// it to show: who has just installed a relay has none. If show fails, it was
// not the first time.
func (a *Accounts) First(ctx context.Context, show func(secret string) error) error {
	switch _, err := a.store.Get(ctx, begunKey); {
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	secret, t, err := a.Create(ctx, Token{Account: firstAccount})
	if _, enough := errors.AsType[*ConflictError](err); !enough {
		if err != nil {
			return err
		}
		if err := show(secret); err != nil {
			_, rerr := a.Revoke(ctx, t.ID)
			return errors.Join(err, rerr)
		}
	}
	_, err = a.store.Commit(ctx, nil, []store.Write{{Key: begunKey, Value: []byte("1")}})
	return err
}
