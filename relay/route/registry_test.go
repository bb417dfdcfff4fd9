package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel"
)

// wantRefused checks that err is a refusal with the code.
func wantRefused(t *testing.T, err error, code tunnel.RejectCode) {
	t.Helper()
	refused, ok := errors.AsType[*tunnel.BindError](err)
	if !ok || refused.Code != code {
		t.Errorf("got %v, want a refusal with code %q", err, code)
	}
}

// Who gets a name that another agent holds, or has held.
func TestBind(t *testing.T) {
	serving := func(*tunnel.Exchange) {}
	_, answers := agents(t, serving)
	_, silent := agents(t, nil)
	ended := new(tunnel.Session)
	tests := []struct {
		name    string
		present *tunnel.Session // of ann's agent "one"
		left    bool            // it has left
		claim   Claim
		code    tunnel.RejectCode
		evicted bool
	}{
		{"the same agent again", answers, false, Claim{Account: "ann", Holder: "one"}, "", true},
		{"the same agent, whose session has ended", ended, false, Claim{Account: "ann", Holder: "one"}, "", true},
		{"another agent, the first answers", answers, false, Claim{Account: "ann", Holder: "two"}, tunnel.RejectTaken, false},
		{"another agent, the first is silent", silent, false, Claim{Account: "ann", Holder: "two"}, "", true},
		{"another agent, the first has ended", ended, false, Claim{Account: "ann", Holder: "two"}, "", true},
		{"another agent takes over", answers, false, Claim{Account: "ann", Holder: "two", Takeover: true}, "", true},
		{"another agent, the first has left", answers, true, Claim{Account: "ann", Holder: "two"}, "", false},
		{"another account", answers, false, Claim{Account: "bob", Holder: "one"}, tunnel.RejectTaken, false},
		{"another account takes over", answers, false, Claim{Account: "bob", Holder: "one", Takeover: true}, tunnel.RejectTaken, false},
		{"another account, the agent is silent", silent, false, Claim{Account: "bob", Holder: "one"}, tunnel.RejectTaken, false},
		{"another account, the agent has left", answers, true, Claim{Account: "bob", Holder: "one"}, tunnel.RejectTaken, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := NewRegistry()
			if tt.present != answers { // which may take its time to, on a machine that stalls
				g.askTimeout = 50 * time.Millisecond
			}
			var evicted evictions
			first, err := g.Bind(t.Context(), Claim{Account: "ann", Name: "x", Holder: "one", Session: tt.present, Number: 1, Evict: evicted.of("one")})
			if err != nil {
				t.Fatal(err)
			}
			if tt.left {
				g.Unbind(first, tt.present)
			}
			tt.claim.Name, tt.claim.Session, tt.claim.Number, tt.claim.Evict = "x", new(tunnel.Session), 2, evicted.of("two")
			got, err := g.Bind(t.Context(), tt.claim)
			holder := tt.present
			if tt.code != "" {
				wantRefused(t, err, tt.code)
				if strings.Contains(err.Error(), "ann") || strings.Contains(err.Error(), "one") {
					t.Errorf("the refusal says who holds the name: %v", err)
				}
			} else if holder = tt.claim.Session; err != nil || got != first {
				t.Errorf("got %v, %v, want the same tunnel", got, err)
			}
			if b := g.Lookup([]byte("x")).binding.Load(); tt.left && tt.code != "" {
				if b != nil {
					t.Error("a name that was left is bound")
				}
			} else if b.Session != holder {
				t.Error("the name leads to the wrong session")
			}
			if got := g.Returns(); got == 1 != (tt.code == "") {
				t.Errorf("%d agents have come back", got)
			}
			if got := g.Bound(); got == 0 != (tt.left && tt.code != "") {
				t.Errorf("%d names are bound", got)
			}
			if got := evicted.take(); tt.evicted != slices.Contains(got, "one") || slices.Contains(got, "two") {
				t.Errorf("evicted: %v", got)
			}
		})
	}
}

// The agent that lost a name does not take it away by leaving.
func TestUnbind(t *testing.T) {
	g := NewRegistry()
	one, two := new(tunnel.Session), new(tunnel.Session)
	tunnel1, _ := g.Bind(t.Context(), Claim{Name: "x", Holder: "a", Session: one, Evict: func(tunnel.RejectCode, string) {}})
	g.Bind(t.Context(), Claim{Name: "x", Holder: "b", Takeover: true, Session: two})
	g.Unbind(tunnel1, one)
	if b := tunnel1.binding.Load(); b == nil || b.Session != two {
		t.Error("the loser's end unbinds the name")
	}
	g.Unbind(tunnel1, two)
	if g.Lookup([]byte("x")) != tunnel1 || tunnel1.binding.Load() != nil {
		t.Error("the name is not kept for its account, or still bound")
	}
	// One session that binds a name again keeps it.
	g.Bind(t.Context(), Claim{Name: "x", Holder: "b", Session: two, Number: 1})
	g.Bind(t.Context(), Claim{Name: "x", Holder: "b", Session: two, Number: 2, Evict: func(tunnel.RejectCode, string) { t.Error("a session evicts itself") }})
}

// A name is kept for its account for a day after its agent has left, then it
// is anybody's.
func TestNameIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewRegistry()
		s := new(tunnel.Session)
		claim := func(account string) error {
			_, err := g.Bind(t.Context(), Claim{Account: account, Name: "x", Session: s})
			return err
		}
		if err := claim("ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour) // of the bubble
		g.Prune()
		wantRefused(t, claim("bob"), tunnel.RejectTaken)
		g.Unbind(g.Lookup([]byte("x")), s)
		time.Sleep(24*time.Hour - time.Second)
		g.Prune()
		wantRefused(t, claim("bob"), tunnel.RejectTaken)
		time.Sleep(time.Second)
		if err := claim("bob"); err != nil {
			t.Errorf("after a day: %v", err)
		}
		if g.counts["ann"] != 0 || g.counts["bob"] != 1 {
			t.Errorf("counts %v", g.counts)
		}
		g.Unbind(g.Lookup([]byte("x")), s)
		time.Sleep(24 * time.Hour)
		g.Prune()
		if g.Lookup([]byte("x")) != nil || len(g.counts) != 0 {
			t.Errorf("after Prune: %v, counts %v", g.names, g.counts)
		}
	})
}

// An account has a hundred names. One that its agent has left makes room, the
// oldest first.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewRegistry()
		s := new(tunnel.Session)
		claim := func(account, name string) error {
			_, err := g.Bind(t.Context(), Claim{Account: account, Name: name, Session: s})
			return err
		}
		for i := range maxNames {
			if err := claim("ann", fmt.Sprint("n", i)); err != nil {
				t.Fatal(err)
			}
		}
		wantRefused(t, claim("ann", "more"), tunnel.RejectQuota)
		if err := claim("ann", "n7"); err != nil {
			t.Errorf("a name of its own: %v", err)
		}
		if err := claim("bob", "more"); err != nil {
			t.Errorf("another account: %v", err)
		}
		for _, name := range []string{"n5", "n3", "n9"} {
			g.Unbind(g.Lookup([]byte(name)), s)
			time.Sleep(time.Second)
		}
		if err := claim("ann", "new"); err != nil {
			t.Errorf("with names that were left: %v", err)
		}
		if g.Lookup([]byte("n5")) != nil || g.Lookup([]byte("n3")) == nil || g.Lookup([]byte("n9")) == nil {
			t.Error("not the name that was left first made room")
		}
		if g.counts["ann"] != maxNames {
			t.Errorf("counts %v", g.counts)
		}
	})
}

func TestNames(t *testing.T) {
	g := NewRegistry()
	bind := func(c Claim) (*Tunnel, error) {
		c.Session, c.Evict = new(tunnel.Session), func(tunnel.RejectCode, string) {}
		return g.Bind(t.Context(), c)
	}
	for _, name := range []string{"-a", "a-", "A", "a.b", "ä", "a_b", " ", "a\n", strings.Repeat("a", 64)} {
		_, err := bind(Claim{Name: name})
		wantRefused(t, err, tunnel.RejectName)
		if strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("the refusal of %q is not one short line", name)
		}
	}
	for _, name := range []string{"a", "0", "a-b--c", strings.Repeat("a", 63)} {
		if got, err := bind(Claim{Name: name}); err != nil || got.Name != name {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	seeded := func(account, seed string) string {
		got, err := bind(Claim{Account: account, Seed: seed, Holder: "h"})
		if err != nil {
			t.Fatal(err)
		}
		if !tunnel.ValidName(got.Name) || len(got.Name) != derivedName || strings.Trim(got.Name, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("the derived name is %q", got.Name)
		}
		return got.Name
	}
	ann := seeded("ann", "seed")
	if again := seeded("ann", "seed"); again != ann {
		t.Errorf("one seed gives %s and %s", ann, again)
	}
	if other := seeded("ann", "seed2"); other == ann {
		t.Error("two seeds give one name")
	}
	// The names of an account do not follow from what another account says.
	if bob := seeded("bob", "seed"); bob == ann {
		t.Error("two accounts get one name")
	}
	random := make(map[string]bool)
	for range 100 {
		random[seeded("carol", "")] = true
		got := g.Lookup([]byte(ann))
		if got == nil {
			t.Fatal("a name is lost")
		}
		for name := range random { // make room
			if tt := g.Lookup([]byte(name)); tt != nil && tt.binding.Load() != nil {
				g.Unbind(tt, tt.binding.Load().Session)
			}
		}
	}
	if len(random) != 100 {
		t.Errorf("%d different names of 100", len(random))
	}
}

// Pseudonyms are random and of their tunnel.
func TestPseudonym(t *testing.T) {
	g := NewRegistry()
	a, _ := g.Bind(t.Context(), Claim{Name: "a"})
	b, _ := g.Bind(t.Context(), Claim{Name: "b"})
	if a.Pseudonym == b.Pseudonym || len(a.Pseudonym) < 20 || string(a.Via.Value) != "1.1 "+a.Pseudonym || string(a.Via.Name) != "Via" {
		t.Errorf("got %q with %q, %q", a.Pseudonym, a.Via.Value, b.Pseudonym)
	}
}

func TestSole(t *testing.T) {
	g := NewRegistry()
	if g.Sole() != nil {
		t.Error("a tunnel where there is none")
	}
	s := new(tunnel.Session)
	a, _ := g.Bind(t.Context(), Claim{Name: "a", Session: s})
	g.Unbind(a, s)
	if g.Sole() != a {
		t.Error("the only name is not found")
	}
	b, _ := g.Bind(t.Context(), Claim{Name: "b", Session: s})
	for range 20 {
		if g.Sole() != b {
			t.Fatal("got a tunnel that no agent serves")
		}
	}
	g.Bind(t.Context(), Claim{Name: "c", Session: s})
	for range 20 {
		if got := g.Sole(); got != nil {
			t.Fatalf("got %v, one of two", got)
		}
	}
}

// Bind ends with its context, also while it waits for a holder's word.
func TestBindEndsWithItsContext(t *testing.T) {
	_, silent := agents(t, nil)
	g := NewRegistry()
	g.Bind(t.Context(), Claim{Name: "x", Holder: "a", Session: silent, Evict: func(tunnel.RejectCode, string) {}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Bind(ctx, Claim{Name: "x", Holder: "b", Session: new(tunnel.Session)})
	wantRefused(t, err, tunnel.RejectDraining)
	if b := g.Lookup([]byte("x")).binding.Load(); b.Session != silent {
		t.Error("an agent that has left got the name")
	}
}

// Of many that want one name at once one gets it, and every loser is told.
func TestBindAtOnce(t *testing.T) {
	g := NewRegistry()
	g.askTimeout = 10 * time.Millisecond
	var evicted evictions
	var wg sync.WaitGroup
	const n = 20
	sessions := make([]*tunnel.Session, n)
	for i := range n {
		sessions[i] = new(tunnel.Session)
		wg.Go(func() {
			_, err := g.Bind(t.Context(), Claim{Name: "x", Holder: fmt.Sprint(i), Session: sessions[i], Evict: evicted.of(fmt.Sprint(i))})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holder := slices.Index(sessions, g.Lookup([]byte("x")).binding.Load().Session)
	lost := evicted.take()
	if len(lost) != n-1 || slices.Contains(lost, fmt.Sprint(holder)) {
		t.Errorf("%d holds the name, evicted were %v", holder, lost)
	}
}
