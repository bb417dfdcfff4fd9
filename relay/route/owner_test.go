package route

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"share/relay/account"
	"share/relay/store"
	"share/tunnel"
)

// stored returns a store that lasts for the test.
func stored(t testing.TB) store.Store {
	t.Helper()
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// reopened returns a registry as of a relay that starts with s.
func reopened(t testing.TB, s store.Store) *Registry {
	t.Helper()
	g := NewRegistry()
	g.Accounts = account.New(s)
	if err := g.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// claim binds a name for an account.
func claim(g *Registry, name, label string, s *tunnel.Session) (*Tunnel, error) {
	return g.Bind(context.Background(), Claim{Account: label, Name: name, Session: s, Number: 1, Evict: func(tunnel.RejectCode, string) {}})
}

// A name stays its account's although the relay was killed.
func TestOwnerSurvives(t *testing.T) {
	s := stored(t)
	g := reopened(t, s)
	session := new(tunnel.Session)
	if _, err := claim(g, "x", "ann", session); err != nil {
		t.Fatal(err)
	}
	// Killed here: nobody said that the agent has left.
	g = reopened(t, s)
	if tun := g.Lookup([]byte("x")); tun == nil || tun.binding.Load() != nil {
		t.Fatalf("found %+v, want a name without an agent", tun)
	}
	_, err := claim(g, "x", "bob", session)
	wantRefused(t, err, tunnel.RejectTaken)
	again, err := claim(g, "x", "ann", session)
	if err != nil {
		t.Fatal(err)
	}

	// One that was left long ago and has come back does not look left.
	g.Unbind(again, session)
	g.mu.Lock()
	again.left = time.Now().Add(-holdFor + time.Minute)
	g.mu.Unlock()
	if err := g.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err = claim(g, "x", "ann", session); err != nil {
		t.Fatal(err)
	}
	if names, err := g.Accounts.Names(t.Context()); err != nil || !names[0].Left.IsZero() {
		t.Errorf("kept as %+v, %v", names, err)
	}

	// One that was left keeps the time since then.
	g.Unbind(again, session)
	g.mu.Lock()
	again.left = time.Now().Add(-holdFor + time.Minute)
	left := again.left
	g.mu.Unlock()
	if err := g.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	g = reopened(t, s)
	if got := g.Lookup([]byte("x")).left; got.Sub(left).Abs() > time.Second {
		t.Errorf("left %v, want %v", got, left)
	}
}

func TestPrunedIsForgotten(t *testing.T) {
	s := stored(t)
	g := reopened(t, s)
	session := new(tunnel.Session)
	for _, name := range []string{"x", "kept"} {
		tun, err := claim(g, name, "ann", session)
		if err != nil {
			t.Fatal(err)
		}
		g.Unbind(tun, session)
		tun.left = time.Now().Add(-holdFor)
	}
	if err := g.Reserve(t.Context(), "kept", "ann"); err != nil {
		t.Fatal(err)
	}
	g.Prune()
	if err := g.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	g = reopened(t, s)
	if g.Lookup([]byte("x")) != nil || g.Lookup([]byte("kept")) == nil {
		t.Errorf("after a day: %+v", g.List())
	}
}

func TestReserve(t *testing.T) {
	s := stored(t)
	g := reopened(t, s)
	session := new(tunnel.Session)
	if err := g.Reserve(t.Context(), "x", "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(g, "held", "bob", session); err != nil {
		t.Fatal(err)
	}
	var refused *account.InvalidError
	for name, label := range map[string]string{"-": "ann", "": "ann", "y": "", "z": "a b"} {
		if err := g.Reserve(t.Context(), name, label); !errors.As(err, &refused) {
			t.Errorf("%q for %q: %v", name, label, err)
		}
	}
	var taken *account.ConflictError
	for name, label := range map[string]string{"x": "bob", "held": "ann"} {
		if err := g.Reserve(t.Context(), name, label); !errors.As(err, &taken) {
			t.Errorf("%q for %q: %v", name, label, err)
		}
	}
	g = reopened(t, s)
	g.Lookup([]byte("x")).left = time.Now().Add(-10 * holdFor)
	_, err := claim(g, "x", "bob", session)
	wantRefused(t, err, tunnel.RejectTaken)
	x, err := claim(g, "x", "ann", session)
	if err != nil {
		t.Fatal(err)
	}

	// Released while an agent has it, it is the account's for a day more.
	if held, err := g.Release(t.Context(), "x"); err != nil || !held {
		t.Fatalf("held %v, %v", held, err)
	}
	_, err = claim(g, "x", "bob", session)
	wantRefused(t, err, tunnel.RejectTaken)
	g.Unbind(x, session)
	_, err = claim(g, "x", "bob", session)
	wantRefused(t, err, tunnel.RejectTaken)

	// Without one, it is anybody's.
	if held, err := g.Release(t.Context(), "x"); err != nil || held {
		t.Fatalf("held %v, %v", held, err)
	}
	if _, err := g.Release(t.Context(), "x"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("released twice: %v", err)
	}
	g = reopened(t, s)
	if _, err = claim(g, "x", "bob", session); err != nil {
		t.Error(err)
	}
}

// A reserved name makes no room for another.
func TestReservedCounts(t *testing.T) {
	g := reopened(t, stored(t))
	for i := range maxNames {
		if err := g.Reserve(t.Context(), base32Name([]byte{byte(i)}), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := claim(g, "x", "ann", new(tunnel.Session))
	wantRefused(t, err, tunnel.RejectQuota)
	if err := g.Reserve(t.Context(), "x", "ann"); err == nil {
		t.Error("one more is reserved")
	}
	if _, err := claim(g, "x", "bob", new(tunnel.Session)); err != nil {
		t.Error(err)
	}
}

// A failing is a store that takes nothing.
type failing struct{ store.Store }

var errFull = errors.New("no space left on device")

func (failing) Commit(context.Context, []store.Check, []store.Write) (int64, error) {
	return 0, errFull
}

// A name is not given out that cannot be kept, and is once it can.
func TestOwnerCannotBeKept(t *testing.T) {
	s := stored(t)
	g := NewRegistry()
	g.Accounts = account.New(failing{s})
	session := new(tunnel.Session)
	if _, err := claim(g, "x", "ann", session); !errors.Is(err, errFull) {
		t.Fatalf("bound: %v", err)
	}
	if tun := g.Lookup([]byte("x")); tun.binding.Load() != nil {
		t.Error("the name is bound all the same")
	}
	g.Accounts = account.New(s)
	if _, err := claim(g, "x", "ann", session); err != nil {
		t.Fatal(err)
	}
	if g = reopened(t, s); g.Lookup([]byte("x")) == nil {
		t.Error("the name is not kept")
	}
}

// Names that are claimed at once are all kept when their claims return.
func TestOwnersAtOnce(t *testing.T) {
	s := stored(t)
	g := reopened(t, s)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			name := base32Name([]byte{byte(i)})
			if _, err := claim(g, name, "ann", new(tunnel.Session)); err != nil {
				t.Error(err)
			}
			if _, err := s.Get(context.Background(), "name/"+name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
}

func TestKickAndList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewRegistry()
		var code tunnel.RejectCode
		x, err := g.Bind(t.Context(), Claim{Account: "ann", Name: "x", Session: new(tunnel.Session), Evict: func(c tunnel.RejectCode, _ string) { code = c }})
		if err != nil {
			t.Fatal(err)
		}
		list := g.List()
		if len(list) != 1 || list[0].Name.Name != "x" || list[0].Account != "ann" || list[0].Since.IsZero() || !list[0].Left.IsZero() {
			t.Errorf("%+v", list)
		}
		if err := g.Kick("x"); err != nil || code != tunnel.RejectKicked {
			t.Errorf("kicked with %q: %v", code, err)
		}
		g.Unbind(x, x.binding.Load().Session)
		for _, name := range []string{"x", "y"} {
			if err := g.Kick(name); !errors.Is(err, account.ErrUnknown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list := g.List(); len(list) != 1 || list[0].Left.IsZero() || !list[0].Since.IsZero() {
			t.Errorf("%+v", list)
		}
	})
}

// A claim may be for some names only, the one it derives too.
func TestAllowed(t *testing.T) {
	g := NewRegistry()
	no := &tunnel.BindError{Code: tunnel.RejectName}
	asked := ""
	c := Claim{Account: "ann", Seed: "s", Session: new(tunnel.Session), Allowed: func(name string) error { asked = name; return no }}
	if _, err := g.Bind(t.Context(), c); err != error(no) || !tunnel.ValidName(asked) {
		t.Errorf("got %v for %q", err, asked)
	}
	if len(g.List()) != 0 {
		t.Error("the name is somebody's")
	}
}
