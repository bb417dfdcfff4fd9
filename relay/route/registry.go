// Package route keeps the names of a relay: who owns each, and which session
// answers for it.
package route

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"share/relay/account"
	"share/tunnel"
)

const (
	// holdFor is how long a name is kept for its account after its agent
	// has left.
	holdFor = 24 * time.Hour

	// maxNames bounds the names of one account.
	maxNames = 100

	// askTimeout is how long the present holder of a name has to answer a
	// ping before another agent of its account gets the name.
	askTimeout = 3 * time.Second

	// derivedName is how many characters of base32 make a derived or random
	// name: 50 bits.
	derivedName = 10
)

// A Registry maps names to tunnels. It may be used by many goroutines.
type Registry struct {
	// Accounts is where the owners of names are written down. If nil, they are
	// forgotten with the process. It is set before any other use.
	Accounts *account.Accounts

	askTimeout time.Duration
	returns    atomic.Uint64 // see Returns
	saving     sync.Mutex    // held while Save writes

	mu      sync.RWMutex
	names   map[string]*Tunnel  // guarded by mu
	counts  map[string]int      // guarded by mu; names of each account
	changed map[string]struct{} // guarded by mu; names to be written down
	frozen  bool                // guarded by mu; nobody gets a name
}

// A Tunnel is a name and the agent that answers for it. It outlives the
// agent's session.
type Tunnel struct {
	// Name is the first label of the tunnel's URL.
	Name string

	// Pseudonym stands for the tunnel in Via fields (RFC 9110 7.6.3). It is
	// random.
	Pseudonym string

	// Via is the field that says so in each request, Via2 if it came in
	// HTTP/2.
	Via, Via2 tunnel.Field

	account  string    // never changes
	left     time.Time // set under the registry's mu; when the last agent left
	reserved bool      // set under the registry's mu; the account's for ever
	kept     bool      // set under the registry's mu; the account is written down
	binding  atomic.Pointer[Binding]
	absence  atomic.Pointer[absence] // set under the registry's mu; nil unless an agent is about to come back
}

// A Binding is a tunnel's hold of a session.
type Binding struct {
	Session *tunnel.Session
	Number  uint32 // what the session calls the tunnel
	holder  string
	since   time.Time
	evict   func(tunnel.RejectCode, string)
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		askTimeout: askTimeout,
		names:      make(map[string]*Tunnel),
		counts:     make(map[string]int),
		changed:    make(map[string]struct{}),
	}
}

// Lookup returns the tunnel called name, nil if there is none.
func (g *Registry) Lookup(name []byte) *Tunnel {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.names[string(name)]
}

// Owner returns the account that a name is kept for; ok is false if it is
// nobody's.
func (g *Registry) Owner(name string) (account string, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	t := g.names[name]
	if t == nil || t.free() {
		return "", false
	}
	return t.account, true
}

// Sole returns the only tunnel, nil if there is none or more than one. Those that
// nobody answers for count only if there is no other.
func (g *Registry) Sole() (sole *Tunnel) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, t := range g.names {
		switch {
		case t.binding.Load() == nil && len(g.names) > 1:
		case sole != nil:
			return nil
		default:
			sole = t
		}
	}
	return sole
}

// Account is whose the tunnel is.
func (t *Tunnel) Account() string { return t.account }

// Held reports whether an agent answers for the tunnel.
func (t *Tunnel) Held() bool { return t.binding.Load() != nil }

// Open begins an exchange with the tunnel's agent; number is what the request
// calls the tunnel. It waits for an agent that Expect has announced. It ends with
// ctx. Every error is a *tunnel.Failure.
func (t *Tunnel) Open(ctx context.Context) (x *tunnel.Exchange, number uint32, err error) {
	for {
		b := t.binding.Load()
		if b == nil {
			if t.waited(ctx) {
				continue
			}
			f := tunnel.Fail(tunnel.NoAgent, nil)
			if ctx.Err() != nil {
				f = tunnel.Fail(tunnel.VisitorGone, context.Cause(ctx))
			}
			f.NotProcessed = true
			return nil, 0, f
		}
		x, err := b.Session.Open(ctx)
		if err == nil {
			return x, b.Number, nil
		}
		if t.binding.Load() != b {
			continue
		}
		f := tunnel.AsFailure(err)
		if f.Cause == tunnel.LinkLost || f.Cause == tunnel.Draining && b.Session.Live() == 0 {
			f.Cause = tunnel.NoAgent // the session has ended, or is about to with nothing on it
		}
		return nil, 0, f
	}
}

// A Claim is an agent's wish for a name.
type Claim struct {
	Account  string
	Name     string // if empty, one follows from Seed
	Seed     string // if empty too, the name is random
	Holder   string
	Takeover bool
	Session  *tunnel.Session
	Number   uint32

	// Allowed, if not nil, returns why the name must not be the agent's.
	Allowed func(name string) error

	// Evict ends the session's hold when another agent gets the name, or an
	// operator wants it, and says why. It must not block.
	Evict func(code tunnel.RejectCode, reason string)
}

// Bind gives the claim's session the name it asks for. It may ask the present
// holder for a sign of life. A refusal is a *tunnel.BindError, without its ID;
// another error is that of the accounts' store.
func (g *Registry) Bind(ctx context.Context, c Claim) (*Tunnel, error) {
	name := c.Name
	switch {
	case name == "" && c.Seed == "":
		name = base32Name([]byte(rand.Text()))
	case name == "":
		name = base32Name([]byte(c.Account + "\x00" + c.Seed))
	case !tunnel.ValidName(name):
		return nil, refuse(tunnel.RejectName, "%.100q is no DNS label: use at most 63 of a-z, 0-9 and -, with no - at either end", name)
	}
	if c.Allowed != nil {
		if err := c.Allowed(name); err != nil {
			return nil, err
		}
	}
	next := &Binding{Session: c.Session, Number: c.Number, holder: c.Holder, since: time.Now(), evict: c.Evict}
	silent := (*Binding)(nil) // the holder that did not answer
	for {
		t, held, err := g.take(name, c, next, silent)
		if err != nil {
			return nil, err
		}
		if held == nil {
			return t, g.settle(ctx, t, c.Session)
		}
		ask, cancel := context.WithTimeout(ctx, g.askTimeout)
		err = held.Session.Ping(ask)
		cancel()
		if ctx.Err() != nil {
			return nil, refuse(tunnel.RejectDraining, "the session has ended")
		}
		if err == nil {
			return nil, refuse(tunnel.RejectTaken, "the name %s is in use by another agent of this account; --takeover evicts it", name)
		}
		silent = held
	}
}

// settle returns when t's owner is written down: a name that was promised is
// kept.
func (g *Registry) settle(ctx context.Context, t *Tunnel, s *tunnel.Session) error {
	if g.Accounts == nil || g.isKept(t) {
		return nil
	}
	if err := g.Save(ctx); err != nil {
		g.Unbind(t, s)
		return fmt.Errorf("keep the name %s: %w", t.Name, err)
	}
	return nil
}

// take binds name if that is due. Otherwise it returns the holder to ask,
// unless that is silent already.
func (g *Registry) take(name string, c Claim, next, silent *Binding) (*Tunnel, *Binding, error) {
	g.mu.Lock()
	if g.frozen {
		g.mu.Unlock()
		return nil, nil, refuse(tunnel.RejectDraining, "another process takes the relay's place")
	}
	t := g.names[name]
	if t != nil && t.account != c.Account {
		if !t.free() {
			g.mu.Unlock()
			return nil, nil, refuse(tunnel.RejectTaken, "the name %s is taken", name)
		}
		g.drop(t)
		t = nil
	}
	var old *Binding
	if t != nil {
		old = t.binding.Load()
		if old != nil && old.holder != next.holder && !c.Takeover && old != silent {
			g.mu.Unlock()
			return nil, old, nil
		}
		if a := t.absence.Load(); a != nil && a.holder != next.holder && !c.Takeover {
			g.mu.Unlock()
			return nil, nil, refuse(tunnel.RejectTaken, "the name %s is in use by another agent of this account; --takeover evicts it", name)
		}
		if old == nil || old.Session != next.Session {
			g.returns.Add(1)
		}
		// What is written down of when it was left may soon be too long ago.
		t.kept = t.kept && (old != nil || time.Since(t.left) < holdFor/2)
	} else {
		if !g.makeRoom(c.Account) {
			g.mu.Unlock()
			return nil, nil, refuse(tunnel.RejectQuota, "the account has %d names, which is the limit", maxNames)
		}
		t = g.add(name, c.Account)
	}
	t.binding.Store(next)
	t.endAbsence()
	g.change(name)
	g.mu.Unlock()
	if old != nil && old.Session != next.Session {
		old.evict(tunnel.RejectEvicted, "another agent took the name "+name+" over")
	}
	return t, nil, nil
}

// free reports whether another account may have the name; mu is held.
func (t *Tunnel) free() bool {
	return t.binding.Load() == nil && !t.reserved && time.Since(t.left) >= holdFor
}

// add makes a name an account's; mu is held.
func (g *Registry) add(name, account string) *Tunnel {
	t := newTunnel(name, account)
	g.names[name] = t
	g.counts[account]++
	return t
}

func newTunnel(name, account string) *Tunnel {
	pseudonym := rand.Text()
	via := func(version string) tunnel.Field {
		return tunnel.Field{Name: []byte("Via"), Value: []byte(version + " " + pseudonym)}
	}
	return &Tunnel{Name: name, Pseudonym: pseudonym, Via: via("1.1"), Via2: via("2.0"), account: account}
}

// makeRoom reports whether an account may have one more name. A name whose
// agent has left makes room, the one that left first. mu is held.
func (g *Registry) makeRoom(account string) bool {
	if g.counts[account] < maxNames {
		return true
	}
	var oldest *Tunnel
	for _, t := range g.names {
		if t.account == account && t.binding.Load() == nil && t.absence.Load() == nil && !t.reserved && (oldest == nil || t.left.Before(oldest.left)) {
			oldest = t
		}
	}
	if oldest == nil {
		return false
	}
	g.drop(oldest)
	return true
}

// drop forgets a name; mu is held.
func (g *Registry) drop(t *Tunnel) {
	delete(g.names, t.Name)
	g.change(t.Name)
	if g.counts[t.account]--; g.counts[t.account] == 0 {
		delete(g.counts, t.account)
	}
}

// Returns is how often a name was bound that its account had before: mostly by
// an agent that has come back.
func (g *Registry) Returns() uint64 { return g.returns.Load() }

// Bound is how many names agents hold.
func (g *Registry) Bound() (n int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, t := range g.names {
		if t.binding.Load() != nil {
			n++
		}
	}
	return n
}

// Unbind ends the hold of a session, if it still has it. The name stays its
// account's.
func (g *Registry) Unbind(t *Tunnel, s *tunnel.Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := t.binding.Load(); b != nil && b.Session == s {
		t.binding.Store(nil)
		t.left = time.Now()
		g.change(t.Name)
	}
}

// Prune forgets the names that nobody has held for a day.
func (g *Registry) Prune() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.names {
		if t.free() {
			g.drop(t)
		}
	}
}

func refuse(code tunnel.RejectCode, format string, args ...any) error {
	return &tunnel.BindError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// base32Name makes a DNS label of what b says.
func base32Name(b []byte) string {
	sum := sha256.Sum256(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:derivedName]
}
