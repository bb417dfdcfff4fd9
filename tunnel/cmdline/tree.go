package cmdline

import (
	"cmp"

	"github.com/urfave/cli/v2"
)

// Prepare has each of commands, and of those below them, report what the user
// typed wrong as an *Error.
func Prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand, c.OnUsageError = true, WrongUsage
		Prepare(c.Subcommands)
	}
}

// WrongUsage makes an *Error of what package cli says of a command line.
func WrongUsage(c *cli.Context, err error, _ bool) error {
	return Usage("see "+cmp.Or(c.Command.HelpName, c.App.Name)+" --help", "%v", err)
}

// Group returns a command that only has others below it.
func Group(name, usage string, commands ...*cli.Command) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, Subcommands: commands, Action: func(c *cli.Context) error {
		if name := c.Args().First(); name != "" {
			return NoCommand(name, commands, c.Command.HelpName+" --help")
		}
		return cli.ShowSubcommandHelp(c)
	}}
}
