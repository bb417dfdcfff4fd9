package manual

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// indent is what stands before the left of two columns.
	indent = 2

	// gap is what stands between the two.
	gap = 2

	// maxLeft is the widest that the left one becomes: beside what is wider stands
	// nothing.
	maxLeft = 30
)

// A row is one of a table with two columns.
type row struct {
	left  string
	right []string // that lines are broken between
}

// A grouped is what has one category.
type grouped[T any] struct {
	category string
	members  []T
}

// group makes a member of each, and parts them by category, in the order in which
// each comes first. What has none comes last.
func group[T, M any](all []T, make func(T) (category string, m M)) (groups []grouped[M]) {
	var rest grouped[M]
	for _, one := range all {
		category, m := make(one)
		i := slices.IndexFunc(groups, func(g grouped[M]) bool { return g.category == category })
		switch {
		case category == "":
			rest.members = append(rest.members, m)
		case i < 0:
			groups = append(groups, grouped[M]{category, []M{m}})
		default:
			groups[i].members = append(groups[i].members, m)
		}
	}
	if len(rest.members) > 0 {
		groups = append(groups, rest)
	}
	return groups
}

// table lays out rows for a screen.
func table(rows []row) string {
	left := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r.left); n <= maxLeft {
			left = max(left, n)
		}
	}
	margin := strings.Repeat(" ", indent)
	if left > 0 {
		left += gap
	}
	var b strings.Builder
	for _, r := range rows {
		beside := margin + r.left
		if n := left - utf8.RuneCountInString(r.left); n >= 0 && len(r.right) > 0 {
			beside += strings.Repeat(" ", n)
		} else {
			b.WriteString(beside + "\n")
			beside = margin + strings.Repeat(" ", left)
		}
		if len(r.right) > 0 {
			first := utf8.RuneCountInString(beside)
			b.WriteString(beside + wrap(r.right, screenColumns-first, strings.Repeat(" ", first)))
		}
	}
	return b.String()
}

// wrap sets words on lines of so many columns, and margin before all but the first. A
// word that is longer has a line of its own.
func wrap(words []string, columns int, margin string) string {
	var b strings.Builder
	at := 0
	for i, word := range words {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + margin)
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	if len(words) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
