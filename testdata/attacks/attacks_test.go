//go:build linux

// Package attacks mounts attacks on a relay that runs in a process of its own,
// and looks at what becomes of it: each has a bound, which the table in
// relay/deploy/attacks.md states. The relay must outlive the attack with less
// than 256 MiB, and a neighbour, whose tunnel is not attacked, must notice
// nothing.
//
// Attackers come from loopback addresses of their own, so that they do not
// share that of the neighbour's visitors. ATTACKS=full mounts the attacks in
// their full size; without it they are as large as a minute allows.
package attacks

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// An attack mostly waits, so more of them run at once than there are
	// processors, but for those in full size, which take all descriptors; an
	// explicit -parallel wins.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(scale(1, 4)))
	}
	goleak.VerifyTestMain(m)
}

// An attack is a line of the table.
type attack struct {
	name   string
	data   bool         // the relay has a data folder: disk/data
	files  int          // descriptors that the relay has; 0 for as many as the system gives
	scarce bool         // new work is refused: the neighbour only keeps what is open
	before func(*siege) // if not nil, goes before the relay's start
	run    func(*siege)
}

// attacks returns all of them, the slow ones first.
func attacks() []attack {
	return []attack{
		{name: "an agent that never reads", run: agentNeverReads},
		{name: "slow heads", run: slowHeads},
		{name: "slow bodies", run: slowBodies},
		{name: "half-open links", run: halfOpenLinks},
		{name: "half-open links, after TLS", run: halfOpenLinksTLS},
		{name: "link handshakes that never end", run: endlessHandshakes},
		{name: "link handshakes that fail", run: failingHandshakes},
		{name: "rapid resets", run: rapidResets},
		{name: "CONTINUATION floods", run: continuations},
		{name: "header bombs", run: headerBombs},
		{name: "URL bombs", run: urlBombs},
		{name: "floods on the link", run: linkFloods},
		{name: "a flood of BINDs", run: bindFlood},
		{name: "a visitor that never reads", run: visitorNeverReads},
		{name: "an upload that nobody reads", run: uploadUnread},
		{name: "exhausted descriptors", files: 256, scarce: true, run: noDescriptors},
		{name: "a full disk", data: true, before: smallDisk, run: fullDisk},
	}
}

// full is set when attacks are mounted in their full size.
func full() bool { return os.Getenv("ATTACKS") == "full" }

// scale is the size of an attack: all of it, or what there is time for.
func scale(all, some int) int {
	if full() {
		return all
	}
	return some
}

// TestAttack mounts every attack, each on a relay of its own.
func TestAttack(t *testing.T) {
	c := newCamp(t)
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			c.mount(t, a)
		})
	}
}

// TestTable holds the table to the attacks: each has a line, and each line that
// names one of this package has an attack.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "relay", "deploy", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| ([^|]+?) +\|`)
	lines := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		lines[strings.ToLower(m[1])] = true
	}
	for _, a := range attacks() {
		if !lines[strings.ToLower(a.name)] {
			t.Errorf("the table has no line for %q", a.name)
		}
	}
	for _, elsewhere := range []string{"one tunnel at full load", "a clock that jumps"} {
		if !lines[elsewhere] {
			t.Errorf("the table has no line for %q", elsewhere)
		}
	}
}
