//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fault is one blow: what, when, and when visitors had answers again.
type Fault struct {
	Kind Kind
	At   time.Time
	Back time.Time
}

// slack is how long after Back a fault may still explain a failure: a
// connection that died while nobody looked is noticed when next used.
const slack = time.Second

// explains tells if the fault's time and the exchange's meet.
func (f Fault) explains(e Exchange) bool {
	return !e.End.Before(f.At) && !e.Start.After(f.Back.Add(slack))
}

// Finding is one broken promise.
type Finding struct {
	Rule   string
	ID     int
	Detail string
}

func (f Finding) String() string { return fmt.Sprintf("%s: exchange %d: %s", f.Rule, f.ID, f.Detail) }

// The rules that the join checks.
const (
	ruleWrongBody    = "wrong answer"
	ruleFalseSuccess = "false success"
	ruleDuplicate    = "POST delivered more than once"
	ruleFalseUpload  = "an upload that was not whole looked whole"
	ruleNoCause      = "failure without a cause"
	ruleUnprovoked   = "failure without a fault"
	ruleHung         = "no end"
)

// causes that the faults here can have. Any other, such as bad_request or
// internal, names something that did not happen.
var causes = map[string]bool{
	"target_refused": true, "target_connect_timeout": true, "target_closed": true, "target_incomplete": true,
	"link_lost": true, "no_agent": true, "unknown_name": true, "draining": true, "overload": true,
}

// Join compares the ledgers and returns every broken promise.
func Join(visits []Exchange, entries []Entry, faults []Fault) []Finding {
	seen := map[int][]Entry{}
	for _, e := range entries {
		seen[e.ID] = append(seen[e.ID], e)
	}
	var all []Finding
	for _, v := range visits {
		find := func(rule, format string, args ...any) {
			all = append(all, Finding{rule, v.ID, describe(v) + ": " + fmt.Sprintf(format, args...)})
		}
		joinVisit(v, faults, find)
		joinTarget(v, seen[v.ID], find)
	}
	return all
}

// describe says what was asked for.
func describe(v Exchange) string {
	return fmt.Sprintf("%s HTTP/1.%d, %d bytes %s, %s after %s",
		v.Method, v.Minor, v.Size, v.Frame, v.Outcome, v.End.Sub(v.Start).Round(time.Millisecond))
}

type finder func(rule, format string, args ...any)

// joinVisit judges what the visitor saw, beside the faults.
func joinVisit(v Exchange, faults []Fault, find finder) {
	during := func(match func(Kind) bool) bool {
		return slices.ContainsFunc(faults, func(f Fault) bool { return match(f.Kind) && f.explains(v) })
	}
	switch v.Outcome {
	case Whole, Left:
		return
	case Wrong:
		find(ruleWrongBody, "%s", v.Detail)
		return
	case Hung:
		find(ruleHung, "%s", v.Detail)
		return
	case Nameless:
		find(ruleNoCause, "%s", v.Detail)
	case Refused:
		if !causes[v.Cause] {
			find(ruleNoCause, "%s is the cause of nothing that was done", v.Cause)
		}
	case Lost:
		// Without an answer there can be no cause. Only a relay that is not
		// there may fail so.
		if !during(func(k Kind) bool { return k == RelayKilled }) {
			find(ruleNoCause, "no answer while the relay ran: %s", v.Detail)
		}
	}
	if !during(func(Kind) bool { return true }) {
		find(ruleUnprovoked, "%s %s", v.Cause, v.Detail)
	}
}

// joinTarget judges what the target saw, beside what the visitor was told.
func joinTarget(v Exchange, entries []Entry, find finder) {
	count := map[Verb]int{}
	whole := false
	for _, e := range entries {
		count[e.Verb]++
		if e.Verb != Taken {
			continue
		}
		if v.Outcome == Left || e.Digest != v.Digest() {
			find(ruleFalseUpload, "the target took %s", e.Digest)
			continue
		}
		whole = true
	}
	if count[Begun] > 1 {
		find(ruleDuplicate, "%d times", count[Begun])
	}
	if v.Outcome == Whole && !whole && count[Asked] == 0 {
		find(ruleFalseSuccess, "the target's ledger has no such exchange: %v", entries)
	}
}

// Tally is what a run amounts to beside its findings.
type Tally struct {
	Outcomes map[Outcome]int
	Causes   map[string]int
	Faults   map[Kind]int // blows
	Hits     map[Kind]int // exchanges open at the moment of a blow
}

// Count adds up a run.
func Count(visits []Exchange, faults []Fault) Tally {
	t := Tally{map[Outcome]int{}, map[string]int{}, map[Kind]int{}, map[Kind]int{}}
	for _, v := range visits {
		t.Outcomes[v.Outcome]++
		if v.Cause != "" {
			t.Causes[v.Cause]++
		}
		for _, f := range faults {
			if v.Start.Before(f.At) && v.End.After(f.At) {
				t.Hits[f.Kind]++
			}
		}
	}
	for _, f := range faults {
		t.Faults[f.Kind]++
	}
	return t
}

// Success is the share of exchanges that succeeded, of those that could.
func (t Tally) Success() float64 {
	sum := 0
	for o, n := range t.Outcomes {
		if o != Left {
			sum += n
		}
	}
	return float64(t.Outcomes[Whole]) / float64(max(sum, 1))
}

// String is a line for each part of the tally.
func (t Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f %% succeeded; outcomes %v; causes %v", 100*t.Success(), t.Outcomes, t.Causes)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n%-14s %3d blows, %5d open exchanges hit", k, t.Faults[k], t.Hits[k])
	}
	return b.String()
}
