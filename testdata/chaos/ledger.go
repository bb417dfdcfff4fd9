//go:build unix

// Package chaos shows that share keeps its word while everything around it
// breaks. Visitors send requests whose bodies are known beforehand; target,
// agent, relay and the link between them are killed, frozen and reset at
// random. Visitors and target each keep a ledger, and the join of the two
// must hold no lie: no success that the target did not give, no body that
// differs, no POST delivered twice, no failure without a cause.
package chaos

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// Outcome is how an exchange ended for its visitor.
type Outcome string

// The outcomes. A visitor judges by its own connection alone.
const (
	Whole    Outcome = "whole"    // the target's answer, every byte as expected
	Refused  Outcome = "refused"  // an answer made by share, with its cause
	Cut      Outcome = "cut"      // the target's head, and a body that visibly ended early
	Lost     Outcome = "lost"     // no answer: the connection was refused, reset or closed
	Left     Outcome = "left"     // the visitor went away inside its upload, as planned
	Wrong    Outcome = "wrong"    // what looked whole was not what was asked for
	Nameless Outcome = "nameless" // a failure's answer that names no cause
	Hung     Outcome = "hung"     // no end within the bound
)

// Exchange is a line of the visitors' ledger.
type Exchange struct {
	Plan
	Start, End time.Time
	Outcome    Outcome
	Cause      string // of a Refused one
	Detail     string
}

// Entry is a line of the target's ledger.
type Entry struct {
	Verb   Verb
	ID     int
	Digest string // of a POST's body that came whole
}

// Verb is what the target saw of an exchange.
type Verb string

// The verbs. A POST makes two entries: begun, and taken or broken.
const (
	Asked  Verb = "asked"  // a GET or HEAD arrived
	Begun  Verb = "begun"  // a POST's head arrived
	Taken  Verb = "taken"  // its body came to a clean end
	Broken Verb = "broken" // its body was visibly cut
)

// WriteTo writes the entry as one line in one write, so that it survives the
// process that is killed next.
func (e Entry) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, "%s %d %s\n", e.Verb, e.ID, e.Digest)
	return int64(n), err
}

// ReadEntries reads a target's ledger. A last line without its end, left by a
// kill inside the write, is no entry.
func ReadEntries(r io.Reader) ([]Entry, error) {
	var all []Entry
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read ledger: %w", err)
		}
		var e Entry
		if n, err := fmt.Sscan(line, &e.Verb, &e.ID, &e.Digest); n < 2 {
			return nil, fmt.Errorf("ledger line %q: %w", line, err)
		}
		all = append(all, e)
	}
}
