//go:build unix

package chaos

import (
	"strings"
	"testing"
	"time"
)

// plan returns a plan of the wanted method and framing.
func plan(t *testing.T, method string, leave bool) Plan {
	t.Helper()
	for id := range 10_000 {
		if p := NewPlan(1, id); p.Method == method && p.Leave == leave {
			return p
		}
	}
	t.Fatalf("no plan with %s", method)
	return Plan{}
}

// TestJoin plants one lie at a time, and honest failures, which are none.
func TestJoin(t *testing.T) {
	get, post, leave := plan(t, "GET", false), plan(t, "POST", false), plan(t, "POST", true)
	start := time.Unix(1000, 0)
	visit := func(p Plan, o Outcome, cause string) Exchange {
		return Exchange{Plan: p, Start: start, End: start.Add(time.Second), Outcome: o, Cause: cause}
	}
	fault := func(k Kind, after time.Duration) []Fault {
		return []Fault{{Kind: k, At: start.Add(after), Back: start.Add(after + time.Second)}}
	}
	asked := Entry{Asked, get.ID, ""}
	begun := Entry{Begun, post.ID, ""}
	taken := Entry{Taken, post.ID, post.Digest()}
	now := 500 * time.Millisecond

	for _, test := range []struct {
		name    string
		visit   Exchange
		entries []Entry
		faults  []Fault
		want    string // the rule broken, if one is
	}{
		{"GET", visit(get, Whole, ""), []Entry{asked}, nil, ""},
		{"GET asked twice", visit(get, Whole, ""), []Entry{asked, asked}, nil, ""},
		{"GET never asked", visit(get, Whole, ""), nil, nil, ruleFalseSuccess},
		{"GET wrong", visit(get, Wrong, ""), []Entry{asked}, fault(AgentKilled, now), ruleWrongBody},
		{"GET hung", visit(get, Hung, ""), []Entry{asked}, fault(AgentKilled, now), ruleHung},
		{"GET refused", visit(get, Refused, "link_lost"), nil, fault(AgentKilled, now), ""},
		{"GET refused for no fault", visit(get, Refused, "link_lost"), nil, nil, ruleUnprovoked},
		{"GET refused before the fault", visit(get, Refused, "link_lost"), nil, fault(AgentKilled, 2*time.Second), ruleUnprovoked},
		{"GET refused long after the fault", visit(get, Refused, "link_lost"), nil, fault(AgentKilled, -5*time.Second), ruleUnprovoked},
		{"GET refused oddly", visit(get, Refused, "internal"), nil, fault(AgentKilled, now), ruleNoCause},
		{"GET refused namelessly", visit(get, Nameless, ""), nil, fault(AgentKilled, now), ruleNoCause},
		{"GET cut", visit(get, Cut, ""), []Entry{asked}, fault(TargetReset, now), ""},
		{"GET cut for no fault", visit(get, Cut, ""), []Entry{asked}, nil, ruleUnprovoked},
		{"GET lost with the relay", visit(get, Lost, ""), []Entry{asked}, fault(RelayKilled, now), ""},
		{"GET lost with the agent", visit(get, Lost, ""), []Entry{asked}, fault(AgentKilled, now), ruleNoCause},
		{"POST", visit(post, Whole, ""), []Entry{begun, taken}, nil, ""},
		{"POST never taken", visit(post, Whole, ""), []Entry{begun}, nil, ruleFalseSuccess},
		{"POST taken wrong", visit(post, Whole, ""), []Entry{begun, {Taken, post.ID, "00"}}, nil, ruleFalseUpload},
		{"POST cut at the target", visit(post, Refused, "target_closed"), []Entry{begun, {Broken, post.ID, ""}}, fault(TargetReset, now), ""},
		{"POST cut, taken as whole", visit(post, Refused, "link_lost"), []Entry{begun, {Taken, post.ID, "00"}}, fault(LinkReset, now), ruleFalseUpload},
		{"POST failed and sent again", visit(post, Refused, "target_closed"), []Entry{begun, begun}, fault(TargetReset, now), ruleDuplicate},
		{"POST taken twice", visit(post, Whole, ""), []Entry{begun, begun, taken}, nil, ruleDuplicate},
		{"POST taken, answer lost", visit(post, Refused, "target_closed"), []Entry{begun, taken}, fault(TargetReset, now), ""},
		{"visitor left", visit(leave, Left, ""), []Entry{{Begun, leave.ID, ""}, {Broken, leave.ID, ""}}, nil, ""},
		{"visitor left, taken as whole", visit(leave, Left, ""), []Entry{{Begun, leave.ID, ""}, {Taken, leave.ID, leave.Digest()}}, nil, ruleFalseUpload},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Join([]Exchange{test.visit}, test.entries, test.faults)
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("findings %v, want none", got)
			case test.want != "" && (len(got) == 0 || got[0].Rule != test.want):
				t.Errorf("findings %v, want %q", got, test.want)
			}
		})
	}
}

func TestReadEntries(t *testing.T) {
	want := []Entry{{Asked, 1, ""}, {Begun, 2, ""}, {Taken, 2, "ab12"}}
	var b strings.Builder
	for _, e := range want {
		if _, err := e.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
	}
	b.WriteString("begun 3") // killed inside the write
	got, err := ReadEntries(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("entries %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %v, want %v", got[i], want[i])
		}
	}
}
