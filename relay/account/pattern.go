package account

import (
	"strings"

	"share/tunnel"
)

// maxPattern bounds a pattern: a name of 63 bytes and stars between.
const maxPattern = 127

// CheckPattern returns why no name can match pattern, nil if one can: it is a
// name in which each * stands for any characters, or none.
func CheckPattern(pattern string) error {
	if pattern == "" || len(pattern) > maxPattern {
		return invalid("a pattern of names has 1 to %d bytes, as pr-*", maxPattern)
	}
	// The shortest name that matches, with a letter where a hyphen would
	// begin or end it.
	least := strings.ReplaceAll(pattern, "*", "")
	if strings.HasPrefix(pattern, "*") && (least == "" || least[0] == '-') {
		least = "a" + least
	}
	if strings.HasSuffix(pattern, "*") && least[len(least)-1] == '-' {
		least += "a"
	}
	if !tunnel.ValidName(least) {
		return invalid("no name matches the pattern %.200q: names have at most 63 of a-z, 0-9 and -, with no - at either end", pattern)
	}
	return nil
}

// match reports whether name matches pattern.
func match(pattern, name string) bool {
	star, mark := -1, 0 // the last star, and where what it stands for ends
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
