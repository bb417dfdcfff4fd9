package account

import (
	"path"
	"strings"
	"testing"

	"share/tunnel"
)

func TestCheckPattern(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, p := range []string{"*", "web", "pr-*", "*-pr", "a*b", "*-*", "**", "a-*-b", long, "*" + long, long + "*", strings.Repeat("*", maxPattern)} {
		if err := CheckPattern(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"", "Web", "a.b", "a b", "-a", "a-", "-*", "*-b-", "a?", "[a]", "é*", long + "a", strings.Repeat("*", maxPattern+1)} {
		if err := CheckPattern(p); err == nil {
			t.Errorf("%q is taken, and no name matches", p)
		}
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"*", "x", true},
		{"web", "web", true},
		{"web", "webs", false},
		{"web", "we", false},
		{"pr-*", "pr-", true},
		{"pr-*", "pr-12", true},
		{"pr-*", "xpr-12", false},
		{"*-pr", "x-pr", true},
		{"*-pr", "x-pr-", false},
		{"a*b*c", "axxbxxbxxc", true},
		{"a*b*c", "axxcxxb", false},
		{"*aab", "aaaab", true},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%q and %q: %v", tt.pattern, tt.name, got)
		}
	}
}

// A pattern that is taken matches some name, and matches as package path has
// it.
func FuzzPattern(f *testing.F) {
	f.Add("pr-*", "pr-12")
	f.Add("a*b*c", "abc")
	f.Add("*-*", "-")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if CheckPattern(pattern) != nil {
			return
		}
		filled := func(with string) string { return strings.ReplaceAll(pattern, "*", with) }
		if !tunnel.ValidName(filled("")) && !tunnel.ValidName(filled("a")) && strings.Count(pattern, "*") < 2 {
			t.Errorf("no name matches %q", pattern)
		}
		if !tunnel.ValidName(name) {
			return
		}
		want, err := path.Match(pattern, name)
		if got := match(pattern, name); err != nil || got != want {
			t.Errorf("%q and %q: %v, want %v (%v)", pattern, name, got, want, err)
		}
	})
}
