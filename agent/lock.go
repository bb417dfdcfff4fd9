package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// awaitPause is how often a lock is tried that its owner is about to lose.
const awaitPause = 200 * time.Millisecond

// claims are the names that this process alone may bind at one relay, each an
// exclusive lock in the state folder. A lock ends with its process, so a free
// one means that the agent that had the name is dead. Methods are safe for
// concurrent use.
type claims struct {
	dir   string // empty: nothing is locked
	relay string

	mu   sync.Mutex
	held map[string]*flock.Flock // by path; guarded by mu
}

// A claim is what stands beside a lock for those who do not get it.
type claim struct {
	PID  int    `json:"pid"`
	Name string `json:"name,omitempty"` // what a seed was last bound to
}

// errHeld means that another process has the lock; its pid, if known.
type errHeld struct{ pid int }

func (e *errHeld) Error() string { return fmt.Sprintf("held by process %d", e.pid) }

// newClaims returns claims at the given relay, kept in the state folder dir.
func newClaims(dir, relay string) *claims {
	return &claims{dir: dir, relay: relay, held: map[string]*flock.Flock{}}
}

// path names the lock for a name. A seed is not a name: it has a colon.
func (c *claims) path(name string) string {
	sum := sha256.Sum256([]byte(c.relay + "\x00" + name))
	return filepath.Join(c.dir, "locks", hex.EncodeToString(sum[:16]))
}

// take locks name, or returns an *errHeld. Taking what is held is no error.
func (c *claims) take(name string) error {
	if c.dir == "" {
		return nil
	}
	path := c.path(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[path] != nil {
		return nil
	}
	lock := flock.New(path + ".lock")
	ok, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock name: %w", err)
	}
	if !ok {
		return &errHeld{c.read(name).PID}
	}
	cl := c.read(name)
	cl.PID = os.Getpid()
	if err := c.write(name, cl); err != nil {
		return errors.Join(err, lock.Unlock())
	}
	c.held[path] = lock
	c.withdraw(path)
	return nil
}

// await takes name as soon as its owner has given it back, until ctx ends.
func (c *claims) await(ctx context.Context, name string) {
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// Any other error was told when the name was first asked for.
			if err := c.take(name); err == nil {
				return
			}
		}
	}
}

// seize says, beside a lock that its owner is about to lose, that the name is
// this process's from now on, for as long as the process lives.
func (c *claims) seize(name string) error {
	path := seized(c.path(name), os.Getpid())
	c.mu.Lock()
	defer c.mu.Unlock()
	lock := flock.New(path)
	if _, err := lock.TryLock(); err != nil {
		return fmt.Errorf("seize name: %w", err)
	}
	c.held[path] = lock
	cl := c.read(name)
	cl.PID = os.Getpid()
	return c.write(name, cl)
}

// seized names the lock that a process holds on a name that it has seized: the
// owner does not lose the name to one that has died since.
func seized(path string, pid int) string { return fmt.Sprintf("%s.%d", path, pid) }

// withdraw ends what seize began; mu is held.
func (c *claims) withdraw(path string) {
	path = seized(path, os.Getpid())
	if lock := c.held[path]; lock != nil {
		delete(c.held, path)
		os.Remove(path)
		lock.Unlock() // the descriptor is closed in any case
	}
}

// lost returns the pid of a process that has seized name, or 0. If that has died,
// the name is this process's again.
func (c *claims) lost(name string) int {
	if c.dir == "" {
		return 0
	}
	cl := c.read(name)
	if cl.PID == os.Getpid() {
		return 0
	}
	path := seized(c.path(name), cl.PID)
	lock := flock.New(path)
	if ok, err := lock.TryLock(); !ok || err != nil {
		return cl.PID
	}
	os.Remove(path)
	lock.Unlock()
	cl.PID = os.Getpid()
	_ = c.write(name, cl) // if it fails, the next look finds the same
	return 0
}

// bound returns the name that a seed was last bound to, if that is known.
func (c *claims) bound(seed string) string {
	if c.dir == "" {
		return ""
	}
	return c.read(seed).Name
}

// remember keeps the name that a seed was bound to.
func (c *claims) remember(seed, name string) error {
	if c.dir == "" || c.bound(seed) == name {
		return nil
	}
	cl := c.read(seed)
	cl.Name = name
	return c.write(seed, cl)
}

// release gives all locks back.
func (c *claims) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, lock := range c.held {
		if lock.Path() == path {
			os.Remove(path) // of what was seized nothing stays
		}
		lock.Unlock() // the descriptor is closed in any case
		delete(c.held, path)
	}
}

// read returns what stands beside a lock; what cannot be read is not known.
func (c *claims) read(name string) (cl claim) {
	text, err := os.ReadFile(c.path(name) + ".json")
	if err != nil || json.Unmarshal(text, &cl) != nil {
		return claim{}
	}
	return cl
}

func (c *claims) write(name string, cl claim) error {
	text, err := json.Marshal(cl)
	if err != nil {
		return fmt.Errorf("write claim: %w", err)
	}
	if err := writeFile(c.path(name)+".json", append(text, '\n'), false); err != nil {
		return fmt.Errorf("write claim: %w", err)
	}
	return nil
}
