package runner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"share/agent"
	"share/tunnel"
)

// A tally counts requests, and those that failed by the cause's name, of which
// there are as many as this program knows.
type tally struct {
	requests int
	failed   map[string]int
}

func newTally() tally { return tally{failed: make(map[string]int)} }

// add counts a request that ended so.
func (t *tally) add(cause tunnel.Cause) {
	t.requests++
	if cause != tunnel.CauseNone {
		t.failed[cause.String()]++
	}
}

// opening is what a summary begins with, as Markdown. The URL has to be valid.
func opening(e agent.Event) string {
	text := "### share\n\n<" + e.URL + ">"
	if !e.Verified {
		text += " (not verified)"
	}
	return text + "\n"
}

// closing is what a summary ends with, the most frequent cause first.
func (t *tally) closing() string {
	var rows strings.Builder
	failed := 0
	for _, cause := range slices.SortedFunc(maps.Keys(t.failed), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.failed[b], t.failed[a]), cmp.Compare(a, b))
	}) {
		failed += t.failed[cause]
		fmt.Fprintf(&rows, "| %s | %d |\n", cause, t.failed[cause])
	}
	text := fmt.Sprintf("\nRequests: %d, failed: %d.\n", t.requests, failed)
	if failed > 0 {
		text += "\n| cause | requests |\n| --- | ---: |\n" + rows.String()
	}
	return text
}
