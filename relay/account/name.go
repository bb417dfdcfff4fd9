package account

import (
	"context"
	"time"

	"share/relay/store"
)

// A Name is the first label of a tunnel's URL, and the account that owns it.
type Name struct {
	Name    string `json:"name"`
	Account string `json:"account"`

	// Left is when its agent left, zero while it has one.
	Left time.Time `json:"left,omitzero"`

	// Reserved keeps the name for its account for ever.
	Reserved bool `json:"reserved,omitempty"`
}

// Names returns all names that are owned, in their order.
func (a *Accounts) Names(ctx context.Context) ([]Name, error) {
	var names []Name
	err := a.each(ctx, namePrefix, func(e store.Entry) error {
		var n Name
		if err := decode(e, &n); err != nil {
			return err
		}
		names = append(names, n)
		return nil
	})
	return names, err
}

// Keep writes down who owns names. It is for one goroutine at a time: what it
// knows is newer than what the store has.
func (a *Accounts) Keep(ctx context.Context, names ...Name) error {
	writes := make([]store.Write, len(names))
	for i, n := range names {
		var err error
		if writes[i], err = put(namePrefix+n.Name, n); err != nil {
			return err
		}
	}
	return a.write(ctx, writes)
}

// Forget gives names up.
func (a *Accounts) Forget(ctx context.Context, names ...string) error {
	writes := make([]store.Write, len(names))
	for i, n := range names {
		writes[i] = store.Write{Key: namePrefix + n, Delete: true}
	}
	return a.write(ctx, writes)
}

// write makes writes that need not be made together.
func (a *Accounts) write(ctx context.Context, writes []store.Write) error {
	for len(writes) > 0 {
		n := min(len(writes), store.MaxWrites)
		if _, err := a.store.Commit(ctx, nil, writes[:n]); err != nil {
			return err
		}
		writes = writes[n:]
	}
	return nil
}
