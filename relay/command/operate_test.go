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
	for _, group := range operating(Process{}) {
		commands := group.Subcommands
		if len(commands) == 0 {
			commands = []*cli.Command{group}
		}
		for _, c := range commands {
			var names []string
			for _, f := range c.Flags {
				names = append(names, f.Names()[0])
				if env := f.(cli.DocGenerationFlag).GetEnvVars(); f.Names()[0] != "data" && len(env) > 0 {
					t.Errorf("%s %s: --%s is set by %v", group.Name, c.Name, f.Names()[0], env)
				}
			}
			want := []string{"data", "json"}
			if c == group {
				want = want[:1]
			}
			for _, want := range want {
				if !slices.Contains(names, want) {
					t.Errorf("%s %s has no --%s", group.Name, c.Name, want)
				}
			}
		}
	}
}
