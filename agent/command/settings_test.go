package command

import (
	"slices"
	"testing"

	"share/agent/project"
	"share/tunnel/cmdline"
)

// Each key of a file is a flag of share http, but for what stands on the command
// line itself.
func TestKeysAreFlags(t *testing.T) {
	var flags []string
	for _, f := range cmdline.WithoutHeadings(new(sharing).flags()) {
		flags = append(flags, f.Names()[0])
	}
	for _, key := range project.Keys() {
		if key != "kind" && key != "target" && !slices.Contains(flags, key) {
			t.Errorf("%s is no flag", key)
		}
	}
}

// Plans are alike if they make the same tunnel, wherever it is said.
func TestAlike(t *testing.T) {
	a := &plan{origins: []origin{{"target", "80", "x:1:1"}, {"hold", "1s", "x:2:1"}}}
	for _, tt := range []struct {
		origins []origin
		want    bool
	}{
		{[]origin{{"hold", "1s", "y:9:9"}, {"target", "80", "y:8:8"}}, true},
		{[]origin{{"hold", "2s", "x:2:1"}, {"target", "80", "x:1:1"}}, false},
		{[]origin{{"target", "80", "x:1:1"}}, false},
	} {
		if got := a.alike(&plan{origins: tt.origins}); got != tt.want {
			t.Errorf("%v: got %v", tt.origins, got)
		}
	}
}
