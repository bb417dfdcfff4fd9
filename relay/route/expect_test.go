package route

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel"
)

// known returns a registry in which ann's names are known and nobody holds any.
func known(names ...string) *Registry {
	g := NewRegistry()
	for _, name := range names {
		g.names[name] = newTunnel(name, "ann")
		g.counts["ann"]++
	}
	return g
}

// Visitors of an agent that is expected wait for it, and for no longer than that.
func TestExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := known("x", "y", "bob")
		g.Expect([]Held{{"x", "ann", "one"}, {"y", "ann", "one"}, {"bob", "bob", "one"}, {"new", "ann", "one"}}, time.Second)
		open := func(name string) <-chan *tunnel.Failure {
			failed := make(chan *tunnel.Failure, 1)
			go func() {
				_, _, err := g.Lookup([]byte(name)).Open(t.Context())
				failed <- tunnel.AsFailure(err)
			}()
			return failed
		}
		began := time.Now()
		if f := <-open("bob"); f.Cause != tunnel.NoAgent || time.Since(began) != 0 {
			t.Errorf("another account's: %v after %v", f, time.Since(began))
		}
		x, y := open("x"), open("y")
		time.Sleep(500 * time.Millisecond)
		ended := new(tunnel.Session)
		if _, err := g.Bind(t.Context(), Claim{Account: "ann", Name: "x", Holder: "one", Session: ended}); err != nil {
			t.Fatal(err)
		}
		// The session has ended, which the one that waited finds out.
		if f := <-x; f.Cause != tunnel.NoAgent || time.Since(began) != 500*time.Millisecond {
			t.Errorf("the agent came: %v after %v", f, time.Since(began))
		}
		if f := <-y; f.Cause != tunnel.NoAgent || time.Since(began) != time.Second {
			t.Errorf("the agent did not come: %v after %v", f, time.Since(began))
		}
		if f := <-open("y"); f.Cause != tunnel.NoAgent || time.Since(began) != time.Second {
			t.Errorf("it is not expected any more: %v after %v", f, time.Since(began))
		}
	})
}

// A visitor who leaves does not wait.
func TestExpectEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := known("x")
		g.Expect([]Held{{"x", "ann", "one"}}, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, _, err := g.Lookup([]byte("x")).Open(ctx); tunnel.AsFailure(err).Cause != tunnel.VisitorGone || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// Who gets the name of an agent that is expected.
func TestExpectHolder(t *testing.T) {
	tests := []struct {
		name  string
		claim Claim
		code  tunnel.RejectCode
	}{
		{"the holder", Claim{Account: "ann", Holder: "one"}, ""},
		{"another agent", Claim{Account: "ann", Holder: "two"}, tunnel.RejectTaken},
		{"another agent takes over", Claim{Account: "ann", Holder: "two", Takeover: true}, ""},
		{"another account", Claim{Account: "bob", Holder: "one"}, tunnel.RejectTaken},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			g := known("x")
			g.names["x"].left = time.Now()
			g.Expect([]Held{{"x", "ann", "one"}}, time.Second)
			tt.claim.Name, tt.claim.Session = "x", new(tunnel.Session)
			switch _, err := g.Bind(t.Context(), tt.claim); {
			case tt.code != "":
				wantRefused(t, err, tt.code)
			case err != nil:
				t.Errorf("%s: %v", tt.name, err)
			}
			time.Sleep(time.Second)
			tt.claim.Account, tt.claim.Takeover = "ann", true
			tt.claim.Evict = func(tunnel.RejectCode, string) {}
			if _, err := g.Bind(t.Context(), tt.claim); err != nil {
				t.Errorf("%s, when nobody is expected any more: %v", tt.name, err)
			}
		})
	}
}

// What is told to the next process is what agents hold as it takes over: nobody
// gets a name behind its back.
func TestFreeze(t *testing.T) {
	g := known("left", "b", "a")
	ended := new(tunnel.Session)
	for _, c := range []Claim{{Account: "ann", Name: "b", Holder: "two"}, {Account: "ann", Name: "a", Holder: "one"}, {Account: "bob", Name: "c", Holder: "three"}} {
		c.Session = ended
		if _, err := g.Bind(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := []Held{{"a", "ann", "one"}, {"b", "ann", "two"}, {"c", "bob", "three"}}
	if got := g.Freeze(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, c := range []Claim{{Account: "ann", Name: "left"}, {Account: "ann", Name: "a", Holder: "one"}, {Account: "ann", Name: "new"}} {
		c.Session, c.Takeover = ended, true
		_, err := g.Bind(t.Context(), c)
		wantRefused(t, err, tunnel.RejectDraining)
	}
	g.Thaw()
	if _, err := g.Bind(t.Context(), Claim{Account: "ann", Name: "left", Session: ended}); err != nil {
		t.Errorf("it is as before: %v", err)
	}
}

// A process that is about to be replaced itself has the agents come first that it
// was told of.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := known("x", "y")
		if err := g.Settled(t.Context()); err != nil {
			t.Errorf("nobody is expected: %v", err)
		}
		g.Expect([]Held{{"x", "ann", "one"}, {"y", "ann", "one"}}, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Settled(ctx); err != context.DeadlineExceeded {
			t.Errorf("two are expected: %v", err)
		}
		began := time.Now()
		if _, err := g.Bind(t.Context(), Claim{Account: "ann", Name: "x", Holder: "one", Session: new(tunnel.Session)}); err != nil {
			t.Fatal(err)
		}
		if err := g.Settled(t.Context()); err != nil || time.Since(began) != time.Minute-time.Second {
			t.Errorf("one came, one did not: %v after %v", err, time.Since(began))
		}
	})
}
