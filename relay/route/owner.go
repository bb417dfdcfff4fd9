package route

import (
	"context"
	"fmt"
	"sort"
	"time"

	"share/relay/account"
	"share/tunnel"
)

// Load takes over the names that Accounts knows. Those that an agent held when
// the relay ended were left now. It goes before the first Bind.
func (g *Registry) Load(ctx context.Context) error {
	if g.Accounts == nil {
		return nil
	}
	names, err := g.Accounts.Names(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range names {
		t := newTunnel(n.Name, n.Account)
		t.left, t.reserved, t.kept = n.Left, n.Reserved, true
		if t.left.IsZero() {
			t.left = time.Now()
			g.change(n.Name)
		}
		g.names[n.Name] = t
		g.counts[n.Account]++
	}
	return nil
}

// Save writes down what has changed since the last time: whose names are, and
// when their agents left. Those who call it at once wait for one write.
func (g *Registry) Save(ctx context.Context) error {
	if g.Accounts == nil {
		return nil
	}
	g.saving.Lock()
	defer g.saving.Unlock()
	g.mu.Lock()
	changed := g.changed
	g.changed = make(map[string]struct{})
	var keep []account.Name
	var forget []string
	for name := range changed {
		if t := g.names[name]; t != nil {
			keep = append(keep, t.record())
		} else {
			forget = append(forget, name)
		}
	}
	g.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	err := g.Accounts.Keep(ctx, keep...)
	if err == nil {
		err = g.Accounts.Forget(ctx, forget...)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		for name := range changed {
			g.changed[name] = struct{}{}
		}
		return err
	}
	for _, n := range keep {
		if t := g.names[n.Name]; t != nil && t.account == n.Account {
			t.kept = true
		}
	}
	return nil
}

// record is what is written down of a tunnel; mu is held.
func (t *Tunnel) record() account.Name {
	n := account.Name{Name: t.Name, Account: t.account, Reserved: t.reserved}
	if t.binding.Load() == nil {
		n.Left = t.left.UTC().Truncate(time.Second)
	}
	return n
}

// isKept reports whether t's owner is written down.
func (g *Registry) isKept(t *Tunnel) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return t.kept
}

// change notes that a name is to be written down; mu is held.
func (g *Registry) change(name string) {
	if g.Accounts != nil {
		g.changed[name] = struct{}{}
	}
}

// Reserve keeps a name for an account for ever. An *account.InvalidError or
// *account.ConflictError says why that cannot be.
func (g *Registry) Reserve(ctx context.Context, name, label string) error {
	if !tunnel.ValidName(name) {
		return &account.InvalidError{Reason: "a name has at most 63 of a-z, 0-9 and -, with no - at either end"}
	}
	if err := account.CheckAccount(label); err != nil {
		return err
	}
	if err := g.reserve(name, label); err != nil {
		return err
	}
	return g.Save(ctx)
}

func (g *Registry) reserve(name, label string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.names[name]
	if t != nil && t.account != label {
		if !t.free() {
			return &account.ConflictError{Reason: "the name " + name + " is " + t.account + "'s"}
		}
		g.drop(t)
		t = nil
	}
	if t == nil {
		if !g.makeRoom(label) {
			return &account.ConflictError{Reason: fmt.Sprintf("%s has %d names, which is the limit", label, maxNames)}
		}
		t = g.add(name, label)
		t.left = time.Now()
	}
	t.reserved = true
	g.change(name)
	return nil
}

// Release takes a name from its account: at once, or, which held reports, a day
// after its agent leaves if it has one. account.ErrUnknown if nobody owns it.
func (g *Registry) Release(ctx context.Context, name string) (held bool, err error) {
	g.mu.Lock()
	t := g.names[name]
	if t == nil {
		g.mu.Unlock()
		return false, fmt.Errorf("name %.64q: %w", name, account.ErrUnknown)
	}
	t.reserved = false
	if held = t.binding.Load() != nil; !held {
		g.drop(t)
	}
	g.change(name)
	g.mu.Unlock()
	return held, g.Save(ctx)
}

// Kick ends the session that holds a name: its agent stops. account.ErrUnknown
// if none does.
func (g *Registry) Kick(name string) error {
	var b *Binding
	if t := g.Lookup([]byte(name)); t != nil {
		b = t.binding.Load()
	}
	if b == nil {
		return fmt.Errorf("tunnel %.64q: %w", name, account.ErrUnknown)
	}
	b.evict(tunnel.RejectKicked, "the relay's operator ended the tunnel "+name)
	return nil
}

// A Status is what there is to know of a name.
type Status struct {
	account.Name
	Agent string    `json:"agent,omitempty"` // its address; empty if there is none
	Since time.Time `json:"since,omitzero"`  // when it got the name
	Live  int       `json:"live"`            // exchanges under way over its session
}

// List returns all names, in their order.
func (g *Registry) List() []Status {
	g.mu.RLock()
	all := make([]Status, 0, len(g.names))
	bindings := make([]*Binding, 0, len(g.names))
	for _, t := range g.names {
		all = append(all, Status{Name: t.record()})
		bindings = append(bindings, t.binding.Load())
	}
	g.mu.RUnlock()
	for i, b := range bindings {
		if b != nil {
			all[i].Agent, all[i].Since, all[i].Live = b.Session.Addr(), b.since.UTC().Truncate(time.Second), b.Session.Live()
		}
	}
	// The compiler writes slices.SortFunc anew for each type of structure.
	sort.Slice(all, func(i, j int) bool { return all[i].Name.Name < all[j].Name.Name })
	return all
}
