package command

import (
	"slices"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// A local is the wish for the relay in this process, for this machine alone,
// whatever share login, SHARE_RELAY or a file name.
type local struct {
	wanted bool
}

func (l *local) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Toggle("local", "use the relay in this process, for this machine alone, whatever share login, SHARE_RELAY or a file say", &l.wanted),
	}
}

// check returns a *cmdline.Error for a wish that another flag contradicts. relays
// come from the command line, or else from variable, which the environment has.
func (l *local) check(relays []string, variable string, lan bool) error {
	if !l.wanted {
		return nil
	}
	if lan {
		return cmdline.Usage("leave one of them away: with --local, this machine alone reaches the target", "--local and --lan are both asked for")
	}
	var preset []string
	if variable != "" {
		if err := cmdline.List(&preset)(variable); err != nil {
			return cmdline.Usage("", "%s: %v", cmdline.Variable("relay"), err)
		}
	}
	if !slices.Equal(relays, preset) {
		return cmdline.Usage("leave one of them away: with --local, the relay is in this process", "--local and --relay are both asked for")
	}
	return nil
}
