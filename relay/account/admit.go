package account

import (
	"context"
	"errors"
	"slices"
	"sort"

	"share/relay/store"
)

// Admit returns what a trust lets an agent in with that has an identity, and
// pins the trust to its ids if that is the first. Of several trusts the one with
// the longest subject counts. The error is ErrUntrusted, ErrOther or ErrLate if
// there is none.
func (a *Accounts) Admit(ctx context.Context, id Identity) (Token, error) {
	trusts, err := a.Trusts(ctx)
	if err != nil {
		return Token{}, err
	}
	sort.SliceStable(trusts, func(i, j int) bool { return len(trusts[i].Subject) > len(trusts[j].Subject) })
	why := ErrUntrusted
	for _, t := range trusts {
		if !t.isFor(id) {
			continue
		}
		_, err := t.pins(id, a.now())
		if err == nil && !t.Pinned() {
			err = a.pin(ctx, t.ID, id)
		}
		switch {
		case err == nil:
			return t.Token(), nil
		case !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrOther) && !errors.Is(err, ErrLate):
			return Token{}, err
		case !errors.Is(why, ErrOther):
			why = err
		}
	}
	return Token{}, why
}

// pin writes down the ids of a trust's first identity.
func (a *Accounts) pin(ctx context.Context, trust string, id Identity) error {
	return a.change(ctx, func() ([]store.Check, []store.Write, error) {
		var t Trust
		revision, err := a.get(ctx, trustPrefix+trust, &t)
		if err != nil {
			return nil, nil, err
		}
		if revision == 0 { // it was removed meanwhile
			return nil, nil, ErrUntrusted
		}
		if t.Pins, err = t.pins(id, a.now()); err != nil {
			return nil, nil, err
		}
		w, err := put(trustPrefix+trust, t)
		return []store.Check{{Key: w.Key, Revision: revision}}, []store.Write{w}, err
	})
}

// TrustsIssuer reports whether there is a trust in an issuer.
func (a *Accounts) TrustsIssuer(ctx context.Context, issuer string) (bool, error) {
	trusts, err := a.Trusts(ctx)
	return slices.ContainsFunc(trusts, func(t Trust) bool { return t.Issuer == issuer }), err
}
