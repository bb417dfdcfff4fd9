package cmdline

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// A State is how a check went.
type State string

// What a check comes to. A warning stops nothing now. One that is skipped could
// show nothing, or nothing that matters; its detail says why.
const (
	StateOK      State = "ok"
	StateWarning State = "warning"
	StateFailed  State = "failed"
	StateSkipped State = "skipped"
)

// A Result is what a check has found.
type Result struct {
	Check  Check  `json:"check"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Cure   string `json:"cure,omitempty"` // what to do; only of a warning and a failure
}

// A Check is the name of what a doctor looks at.
type Check string

// OK returns that all is well.
func (c Check) OK(format string, args ...any) Result {
	return Result{Check: c, State: StateOK, Detail: fmt.Sprintf(format, args...)}
}

// Skipped returns why there is nothing to see.
func (c Check) Skipped(format string, args ...any) Result {
	return Result{Check: c, State: StateSkipped, Detail: fmt.Sprintf(format, args...)}
}

// Warning returns what is not well, though it stops nothing, and what cures it.
func (c Check) Warning(cure, format string, args ...any) Result {
	return Result{Check: c, State: StateWarning, Cure: cure, Detail: fmt.Sprintf(format, args...)}
}

// Failed returns what is wrong, and what cures it.
func (c Check) Failed(cure, format string, args ...any) Result {
	return Result{Check: c, State: StateFailed, Cure: cure, Detail: fmt.Sprintf(format, args...)}
}

// WriteResults writes what a doctor has found to w, as a table or as JSON. If
// checks have failed, the error is an *Error that says how many.
func WriteResults(w io.Writer, results []Result, asJSON bool) error {
	write := writeTable
	if asJSON {
		write = func(w io.Writer, results []Result) error { return json.NewEncoder(w).Encode(results) }
	}
	if err := write(w, results); err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if r.State == StateFailed {
			failed++
		}
	}
	if failed > 0 {
		return Failed("each has its cure beside it", fmt.Errorf("%d of %d checks failed", failed, len(results)))
	}
	return nil
}

// writeTable writes each cure below what it is for.
func writeTable(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CHECK\tSTATE\tDETAIL") // an error stays for Flush
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", oneLine(string(r.Check)), r.State, oneLine(r.Detail))
		if r.Cure != "" {
			fmt.Fprintf(tw, "\t\tcure: %s\n", oneLine(r.Cure))
		}
	}
	return tw.Flush()
}

// oneLine is s on one line, without what a terminal could take for a command:
// other servers' words may be in it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}
