// Package manual tells users how the commands are used: their help, a manual page,
// and what a shell completes of them. All of it is read off the commands, which
// say what is to be said:
//
//   - UsageText are a command's examples, a line each: what to type, and behind a
//     tab, which may be missing, what that does.
//   - Category is what lists of commands and flags are parted by.
//   - A flag's usage has its value in backquotes; FILE, PROGRAM and DIR are completed
//     as such, and in ArgsUsage too.
//   - BashComplete writes what a command's first argument may be, a line each.
package manual

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// Category is that of the commands here, and of others like them.
const Category = "learn more"

// Commands returns share help, share man and share completion. version is the
// program's.
func Commands(version string) []*cli.Command {
	return []*cli.Command{helpCommand(), manCommand(version), completionCommand(), completeCommand()}
}

// Print is a cli.HelpPrinter: it writes the help of data, a *cli.App or a
// *cli.Command.
func Print(w io.Writer, _ string, data any) {
	switch of := data.(type) {
	case *cli.App:
		io.WriteString(w, screen(root(of)))
	case *cli.Command:
		io.WriteString(w, screen(of.HelpName, of))
	}
}

func helpCommand() *cli.Command {
	var all bool
	toggle := cmdline.Toggle("all", "all of it, as much as there is", &all)
	cmdline.Unset([]cli.Flag{toggle})
	return &cli.Command{
		Name:      "help",
		Usage:     "say how a command is used",
		ArgsUsage: "[COMMAND…]",
		Category:  Category,
		Flags:     []cli.Flag{toggle},
		Action: func(c *cli.Context) error {
			name, top := root(c.App)
			words := c.Args().Slice()
			command, rest := walk(top, words)
			name = strings.Join(append([]string{name}, words[:len(words)-len(rest)]...), " ")
			if len(rest) > 0 {
				return cmdline.Usage("see "+name+" --help", "there is no command %q", rest[0])
			}
			text := screen(name, command)
			if all {
				text = help(name, command, true)
			}
			_, err := io.WriteString(c.App.Writer, text)
			return err
		},
	}
}

func manCommand(version string) *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "write a manual page, for man(1)",
		UsageText: "share man >~/.local/share/man/man1/share.1\tinstall it\n" +
			"share man | man -l -\tread it",
		Category: Category,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("", "man takes no argument")
			}
			name, command := root(c.App)
			_, err := io.WriteString(c.App.Writer, page(name, command, version))
			return err
		},
	}
}

// root returns the name of an app, and the app as a command that all others are
// below.
func root(app *cli.App) (name string, top *cli.Command) {
	return app.Name, &cli.Command{Name: app.Name, Usage: app.Usage, UsageText: app.UsageText, Description: app.Description, Subcommands: app.Commands}
}

// examples are a command's, with what each does.
func examples(c *cli.Command) (all []row) {
	for line := range strings.Lines(c.UsageText) {
		typed, what, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, row{typed, strings.Fields(what)})
	}
	return all
}

// synopsis is how a command is typed.
func synopsis(name string, c *cli.Command) string {
	if len(c.VisibleCommands()) > 0 {
		name += " [COMMAND]"
	}
	return name + " [FLAG…]" + prefix(" ", c.ArgsUsage)
}
