package cmdline

import (
	"strconv"

	"github.com/urfave/cli/v2"
)

// NoCommand is the error for a name that none of commands has. It ends with what may
// be meant, and with help, the command line that shows what there is.
func NoCommand(name string, commands []*cli.Command, help string) *Error {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	hint := seeHelp(Nearest(name, names), help)
	if _, err := strconv.Atoi(name); err == nil {
		hint = "write share http " + name
	}
	return Usage(hint, "there is no command %q", name)
}

// seeHelp is the hint on help for who may have meant another word.
func seeHelp(meant, help string) string {
	if meant == "" {
		return "see " + help
	}
	return "did you mean " + meant + "? See " + help
}

// Nearest is the one of words that s may be meant for: at most two letters away, and
// not all of it. It is empty if there is none.
func Nearest(s string, words []string) (best string) {
	const most = 2
	least := most + 1
	for _, w := range words {
		if d := distance(s, w); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters have to be added, taken away, changed, or swapped
// with the next, to make b of a. Words that differ much in length are far.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return max(d, -d)
	}
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
