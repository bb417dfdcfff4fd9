package account

import (
	"cmp"
	"context"
	"crypto/rand"
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
	// maxTrusts bounds the trusts of a relay: all are read for an identity.
	maxTrusts = 500

	// pinWithin is how long after it was made a trust may learn the ids it is
	// pinned to. Names change hands; whoever has this one then is whom its
	// maker meant.
	pinWithin = 24 * time.Hour
)

var (
	// ErrUntrusted is an identity that no trust is for.
	ErrUntrusted = errors.New("no trust is for this identity")

	// ErrOther is an identity that has the name of one that is trusted, and
	// other ids: a repository that was moved, or made anew under an old name.
	ErrOther = errors.New("the name is trusted, but for other ids")

	// ErrLate is an identity whose trust has waited too long for its ids.
	ErrLate = errors.New("the trust was not used in time to learn its ids")
)

// A Trust lets agents in for an account that show who they are with an identity
// token (OpenID Connect) in place of one of the relay's.
type Trust struct {
	ID      string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	Account string    `json:"account"`
	Created time.Time `json:"created"`

	// Names and the quotas are those of a Token.
	Names             []string `json:"names,omitempty"`
	MaxTunnels        int      `json:"max_tunnels,omitempty"`
	MaxExchanges      int      `json:"max_exchanges,omitempty"`
	RequestsPerSecond int      `json:"requests_per_second,omitempty"`
	BytesPerSecond    int64    `json:"bytes_per_second,omitempty"`

	// Pins are the values that claims must have. Those of the Kind's that are
	// missing are learned from the first identity, within a day.
	Pins map[string]string `json:"pins,omitempty"`
}

// An Identity is what an issuer says of an agent. It has been verified.
type Identity struct {
	Issuer  string
	Subject string
	Claims  map[string]string // those that are text or numbers
}

// Token is what the trust lets an agent in with.
func (t *Trust) Token() Token {
	return Token{
		ID: t.ID, Account: t.Account, Created: t.Created, Names: t.Names, MaxTunnels: t.MaxTunnels,
		MaxExchanges: t.MaxExchanges, RequestsPerSecond: t.RequestsPerSecond, BytesPerSecond: t.BytesPerSecond,
	}
}

// Pinned reports whether the trust knows all of its ids.
func (t *Trust) Pinned() bool {
	return !slices.ContainsFunc(t.Kind.ids(), func(claim string) bool { return t.Pins[claim] == "" })
}

// Late reports whether the trust can learn no ids any more, and lacks one.
func (t *Trust) Late(now time.Time) bool { return !t.Pinned() && now.Sub(t.Created) > pinWithin }

// PinBy is until when the trust can learn its ids.
func (t *Trust) PinBy() time.Time { return t.Created.Add(pinWithin) }

// check returns why there can be no such trust, and fills in what has a default.
func (t *Trust) check(now time.Time) error {
	if err := t.Kind.check(t); err != nil {
		return err
	}
	if t.Account == "" && t.Kind != KindOIDC {
		t.Account = string(t.Kind) + ":" + t.Kind.path(t.Subject)
	}
	for claim, id := range t.Pins {
		if !slices.Contains(t.Kind.ids(), claim) {
			return invalid("%.100q is no id of %s", claim, t.Kind)
		}
		if id == "" || len(id) > maxID || strings.Trim(id, "0123456789") != "" {
			return invalid("%s is a number, and not %.100q", claim, id)
		}
	}
	token := t.Token()
	return token.check(now)
}

// maxID bounds the digits of an id.
const maxID = 20

// isFor reports whether the trust is for an identity, going by names.
func (t *Trust) isFor(id Identity) bool {
	return t.Issuer == id.Issuer && t.Kind.match(t.Subject, id)
}

// pins returns the ids of an identity that the trust is for, or why they are not
// those that it is pinned to.
func (t *Trust) pins(id Identity, now time.Time) (map[string]string, error) {
	pins := make(map[string]string)
	for _, claim := range t.Kind.ids() {
		has := id.Claims[claim]
		switch want := t.Pins[claim]; {
		case has == "" || len(has) > maxID:
			return nil, fmt.Errorf("%w: its token has no %s", ErrUntrusted, claim)
		case want != "" && want != has:
			return nil, fmt.Errorf("%w: its %s is %s, and not %s", ErrOther, claim, has, want)
		}
		pins[claim] = has
	}
	if t.Late(now) {
		return nil, ErrLate
	}
	return pins, nil
}

// AddTrust makes a trust of all of t but ID and Created. The error is an
// *InvalidError, or a *ConflictError if there is one for the same subject.
func (a *Accounts) AddTrust(ctx context.Context, t Trust) (Trust, error) {
	t.Created = a.now().UTC().Truncate(time.Second)
	if err := t.check(t.Created); err != nil {
		return Trust{}, err
	}
	var random [idBytes]byte
	rand.Read(random[:]) // never fails
	t.ID = hex.EncodeToString(random[:])
	err := a.change(ctx, func() ([]store.Check, []store.Write, error) {
		// Of two that are added at once one comes second, and sees the other.
		var added int
		revision, err := a.get(ctx, trustsKey, &added)
		if err == nil {
			err = a.checkNew(ctx, &t)
		}
		if err != nil {
			return nil, nil, err
		}
		trust, err := put(trustPrefix+t.ID, t)
		if err != nil {
			return nil, nil, err
		}
		count, err := put(trustsKey, added+1)
		return []store.Check{{Key: trust.Key}, {Key: trustsKey, Revision: revision}}, []store.Write{trust, count}, err
	})
	return t, err
}

// checkNew returns why a trust cannot be added to those that there are.
func (a *Accounts) checkNew(ctx context.Context, t *Trust) error {
	all, err := a.Trusts(ctx)
	if err != nil {
		return err
	}
	if len(all) >= maxTrusts {
		return &ConflictError{fmt.Sprintf("there are %d trusts, which is the limit", len(all))}
	}
	for _, o := range all {
		if o.Issuer == t.Issuer && strings.EqualFold(o.Subject, t.Subject) {
			return &ConflictError{"the trust " + o.ID + " is for " + t.Subject + " already: remove it first"}
		}
	}
	return nil
}

// Trusts returns all trusts, by account and age.
func (a *Accounts) Trusts(ctx context.Context) ([]Trust, error) {
	trusts := []Trust{}
	err := a.each(ctx, trustPrefix, func(e store.Entry) error {
		var t Trust
		if err := decode(e, &t); err != nil {
			return err
		}
		trusts = append(trusts, t)
		return nil
	})
	sort.Slice(trusts, func(i, j int) bool { // as in Tokens
		x, y := &trusts[i], &trusts[j]
		return cmp.Or(cmp.Compare(x.Account, y.Account), x.Created.Compare(y.Created), cmp.Compare(x.ID, y.ID)) < 0
	})
	return trusts, err
}

// RemoveTrust takes a trust away by its ID. ErrUnknown if there is none.
func (a *Accounts) RemoveTrust(ctx context.Context, id string) (Trust, error) {
	var t Trust
	err := a.change(ctx, func() ([]store.Check, []store.Write, error) {
		t = Trust{}
		revision := int64(0)
		if isID(id) {
			var err error
			if revision, err = a.get(ctx, trustPrefix+id, &t); err != nil {
				return nil, nil, err
			}
		}
		if revision == 0 {
			return nil, nil, fmt.Errorf("trust %.64q: %w", id, ErrUnknown)
		}
		return []store.Check{{Key: trustPrefix + id, Revision: revision}}, []store.Write{{Key: trustPrefix + id, Delete: true}}, nil
	})
	return t, err
}
