package command

import (
	"slices"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestOperatorFlags looks at every command below share relay: each finds its
// relay by --data, and nothing else of it comes from the environment, where a
// flag of one command would be meant for another.
func TestOperatorFlags(t *testing.T) {
	for _, group := range Relay(Process{}).Subcommands {
		for _, c := range group.Subcommands {
			var names []string
			for _, f := range c.Flags {
				names = append(names, f.Names()[0])
				if env := f.(cli.DocGenerationFlag).GetEnvVars(); f.Names()[0] != "data" && len(env) > 0 {
					t.Errorf("%s %s: --%s is set by %v", group.Name, c.Name, f.Names()[0], env)
				}
			}
			for _, want := range []string{"data", "json"} {
				if !slices.Contains(names, want) {
					t.Errorf("%s %s has no --%s", group.Name, c.Name, want)
				}
			}
		}
	}
}
