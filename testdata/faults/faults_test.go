// Package faults breaks everything around a share binary and looks at what a
// visitor is told: targets that refuse, cut, stall and answer garbage, links
// that are reset, closed and silenced, agents killed and frozen, relays
// stopped, requests that mean two things.
//
// Targets and visitors speak over raw sockets, so that each sees the bytes and
// the ends of the connection as they are. The cases are tables; each bears its
// id. A case fails on anything unexpected, but two failures are counted apart,
// for they must never be: a lie (a failure shown as a success) and a hang (no
// end within the case's own bound).
//
// It builds the command of this module, unless SHARE_BINARY names one.
// SHARE_OVERLAY names a file for go build's -overlay.
package faults

import (
	"flag"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A case mostly waits, so many more of them run at once than there are
	// processors; an explicit -parallel wins.
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "20")
	}
	goleak.VerifyTestMain(m)
}

// A fault is one case.
type fault struct {
	id   string // a letter for the group and two digits; X for those beside the list
	name string
	run  func(*run)
}

// faults returns all cases, the slow ones first.
func faults() []fault {
	var all []fault
	for _, group := range [][]fault{
		linkSilenced(), relayStops(), underLoad(), visitorsSlow(), visitorsMany(), // these take longest
		linkReturns(), linkLostInformed(), readyFalse(), agentStops(),
		targetSilent(), targetConnect(), targetHead(), targetPool(), targetUploads(), failurePages(),
		cutBodies(), cutLink(), wholeBodies(), cutStreams(), openBothWays(),
		uploads(), visitorsLeave(), smuggled(), smuggledBodies(), smuggledH2(), pipelined(),
		forwarded(), sameBytes(), forwardedTargets(), upgrades(), events(), overTLS(),
	} {
		all = append(all, group...)
	}
	return all
}

// TestFault runs every case and closes with a line that counts lies and hangs.
func TestFault(t *testing.T) {
	s := newSuite(t)
	for _, f := range faults() {
		t.Run(f.id+" "+f.name, func(t *testing.T) {
			t.Parallel()
			r := &run{T: t, suite: s, name: strings.ToLower(f.id)}
			t.Cleanup(func() { s.report.ended(t) })
			f.run(r)
		})
	}
}

// TestList shows that every id of the list has a case, and that no id is
// given twice.
func TestList(t *testing.T) {
	seen := make(map[string]int)
	for _, f := range faults() {
		seen[f.id]++
	}
	for _, id := range strings.Fields(listed) {
		if seen[id] == 0 {
			t.Errorf("%s has no case", id)
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s names %d cases", id, n)
		}
		if !strings.HasPrefix(id, "X") && !strings.Contains(listed, id) {
			t.Errorf("%s is not in the list", id)
		}
	}
}

// listed are the ids of the cases that were agreed on; a gap in the numbers is
// none of ours.
const listed = `
A01 A02 A03 A04 A05 A06 A07 A09 A10 A11 A12 A13 A14 A15 A16 A18 A19 A20 A21
A22 A24 A27 A28 A29 A31 A33 A34 A35 A37 A38 A39 A41 A46 A47 A48 A50 A52 A53
A54 B01 B02 B03 B04 B05 B06 B08 B11 B13 B14 B15 B16 B17 B18 B19 B22 B23 B25
B30 B31 B32 B34 B35 B36 B38 B44 C01 C02 C03 C04 C05 C07 C08 C09 C10 C12 C13
C14 C15 C17 C19 C21 C22 C23 C25 C26 C28 C29 C30 D01 D02 D03 E01 E02 E03 E05
E06 E07 E08 E10 E12 E14 E15 E16 E17 E18 E20 E21 E22 E24 E25 E26 E28 E29 E31
E32 E34 E36 E37 E40 E41 E42 E44 E45 E46 E50 E51 E54 E55 E60 E63 E64 E66 E67
E68 E69 E71 E72 E73 E74 E76 E80 E82 E83 E84 E85 E86 E88 E90 E92 E93 E95
`
