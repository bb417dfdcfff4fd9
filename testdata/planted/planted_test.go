// Package planted shows that the fault suite would find a liar: it plants
// faults in share itself, one at a time, and wants the suite to turn red.
//
// A fault is a change of the product's source, made while the test runs and
// given to go build as an overlay; the product knows nothing of it. A snippet
// that is no longer found exactly once fails the test, so that no fault is
// lost when the source changes. For each fault the suite runs the cases that
// must find it, and one that must not notice. All of them must pass on an
// unchanged share.
package planted

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// A plant is one fault.
type plant struct {
	name  string
	edits []edit
	red   []string // the suite's cases that must fail, by id
	lies  bool     // one of them must call it a lie: a failure shown as a success
}

// An edit replaces a text that the files of a package hold exactly once.
type edit struct{ dir, old, new string }

// green is the case that runs with all plants and passes: a plant is a lie
// that a share tells now and then, and not a share that does not work.
const green = "B18"

// plants returns all faults, the slow ones first.
func plants() []plant {
	return slices.Concat(slow(), listed(), inTunnel(), inAgent(), inRelay())
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The suite mostly waits; builds have a bound of their own. An explicit
	// -parallel wins.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
	goleak.VerifyTestMain(m)
}

// TestPlanted plants each fault and closes with a table of what found it.
func TestPlanted(t *testing.T) {
	s := newSuite(t)
	found := &table{}
	t.Cleanup(func() { t.Log(found) })
	t.Run("unchanged share", func(t *testing.T) {
		t.Parallel()
		binary := s.build(t, nil)
		var all []string
		for _, p := range plants() {
			all = append(all, p.red...)
		}
		slices.Sort(all)
		got := s.run(t, binary, append(slices.Compact(all), green))
		for _, id := range got.not(passed) {
			t.Errorf("%s does not pass on an unchanged share: it can show nothing", id)
		}
		if got.err != nil {
			t.Errorf("the suite fails: %v", got.err)
		}
		if t.Failed() {
			t.Logf("%s", got.output)
		}
	})
	for _, p := range plants() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			binary := s.build(t, p.edits)
			got := s.run(t, binary, append(slices.Clone(p.red), green))
			found.add(p.name, got)
			for _, id := range p.red {
				if got.cases[id] != failed {
					t.Errorf("%s does not find it: %v", id, got.cases[id])
				}
			}
			if got.cases[green] != passed {
				t.Errorf("%s: %v, but the fault is not where it looks", green, got.cases[green])
			}
			if lies := got.lies(); p.lies && len(lies) == 0 {
				t.Errorf("no case calls it a lie")
			} else if len(lies) > 0 {
				t.Logf("%s", strings.Join(lies, "\n"))
			}
			if t.Failed() {
				t.Logf("%s", got.output)
			}
		})
	}
}

// TestTable shows that no name is given twice, that each plant says what finds
// it and that each snippet is still there.
func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range plants() {
		if seen[p.name] {
			t.Errorf("%s: the name is given twice", p.name)
		}
		seen[p.name] = true
		if len(p.edits) == 0 || len(p.red) == 0 || slices.Contains(p.red, green) {
			t.Errorf("%s: %d edits, found by %q", p.name, len(p.edits), p.red)
		}
		t.Run(p.name, func(t *testing.T) { overlay(t, p.edits) })
	}
}

// A table says what found each fault. It is safe for use by several goroutines.
type table struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (b *table) add(name string, r *results) {
	b.mu.Lock()
	defer b.mu.Unlock()
	by := strings.Join(r.with(failed), " ")
	if len(r.lies()) > 0 {
		by += " (a lie)"
	}
	b.lines = append(b.lines, fmt.Sprintf("%-64s %s", name, by))
}

func (b *table) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.lines)
	return fmt.Sprintf("%d faults planted; red:\n%s", len(b.lines), strings.Join(b.lines, "\n"))
}
