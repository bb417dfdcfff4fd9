package agent

import (
	"errors"
	"os"
	"testing"

	"github.com/gofrs/flock"
)

// newTestClaims returns claims of a state folder that has been opened.
func newTestClaims(t *testing.T, dir, relay string) *claims {
	t.Helper()
	s, err := openState(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c := newClaims(s.dir, relay)
	t.Cleanup(c.release)
	return c
}

// seizeAsOther does what another process does that seizes name, and returns its
// pid. die ends it.
func seizeAsOther(t *testing.T, c *claims, name string) (pid int, die func()) {
	t.Helper()
	pid = os.Getpid() + 1
	lock := flock.New(seized(c.path(name), pid))
	if ok, err := lock.TryLock(); !ok {
		t.Fatal(err)
	}
	die = func() { lock.Unlock() }
	t.Cleanup(die)
	if err := c.write(name, claim{PID: pid}); err != nil {
		t.Fatal(err)
	}
	return pid, die
}

func TestClaimExcludes(t *testing.T) {
	dir := t.TempDir()
	a, b := newTestClaims(t, dir, "https://r"), newTestClaims(t, dir, "https://r")
	if err := a.take("web"); err != nil {
		t.Fatal(err)
	}
	if err := a.take("web"); err != nil {
		t.Errorf("a second take by the holder: %v", err)
	}
	held, ok := errors.AsType[*errHeld](b.take("web"))
	if !ok || held.pid != os.Getpid() {
		t.Errorf("take of a held name: %+v, want errHeld with pid %d", held, os.Getpid())
	}
	if err := b.take("api"); err != nil {
		t.Errorf("another name: %v", err)
	}
	if err := newTestClaims(t, dir, "https://other").take("web"); err != nil {
		t.Errorf("another relay: %v", err)
	}
	a.release()
	if err := b.take("web"); err != nil {
		t.Errorf("take of a released name: %v", err)
	}
}

func TestClaimSeized(t *testing.T) {
	dir := t.TempDir()
	a := newTestClaims(t, dir, "https://r")
	if err := a.take("web"); err != nil {
		t.Fatal(err)
	}
	if pid := a.lost("web"); pid != 0 {
		t.Errorf("lost to %d, want kept", pid)
	}
	other, die := seizeAsOther(t, a, "web")
	if pid := a.lost("web"); pid != other {
		t.Errorf("lost to %d, want %d", pid, other)
	}
	// It dies before it has the name.
	die()
	if pid := a.lost("web"); pid != 0 {
		t.Errorf("lost to %d, which has died", pid)
	}
	if pid := a.read("web").PID; pid != os.Getpid() {
		t.Errorf("held by %d, want %d", pid, os.Getpid())
	}
	if err := a.seize("web"); err != nil || a.lost("web") != 0 {
		t.Errorf("after seize lost to %d, %v", a.lost("web"), err)
	}
}

func TestClaimRemembersSeed(t *testing.T) {
	dir := t.TempDir()
	a := newTestClaims(t, dir, "https://r")
	if err := a.take("seed:x"); err != nil {
		t.Fatal(err)
	}
	if got := a.bound("seed:x"); got != "" {
		t.Errorf("bound to %q, want nothing yet", got)
	}
	if err := a.remember("seed:x", "calm-otter"); err != nil {
		t.Fatal(err)
	}
	a.release()
	b := newTestClaims(t, dir, "https://r")
	if err := b.take("seed:x"); err != nil {
		t.Fatal(err)
	}
	if got := b.bound("seed:x"); got != "calm-otter" {
		t.Errorf("bound to %q, want calm-otter", got)
	}
}

func TestClaimsWithoutFolder(t *testing.T) {
	a, b := newClaims("", "https://r"), newClaims("", "https://r")
	for _, c := range []*claims{a, b} {
		if err := c.take("web"); err != nil || c.lost("web") != 0 || c.remember("web", "x") != nil || c.bound("web") != "" {
			t.Errorf("claims without a folder: %v", err)
		}
		c.release()
	}
}
