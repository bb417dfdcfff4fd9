package manual

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// screenLines and screenColumns are what the smallest terminal in use shows at once.
const (
	screenLines   = 24
	screenColumns = 80
)

// screen is the help of a command: all of it if it fits a screen, else the names of
// flags, and of commands below, without what they do.
func screen(name string, c *cli.Command) string {
	text := help(name, c, true)
	if strings.Count(text, "\n") > screenLines {
		text = help(name, c, false)
	}
	return text
}

// help is all there is to say of a command, or, unless all is wanted, no more of its
// flags, and of the commands below, than their names.
func help(name string, c *cli.Command, all bool) string {
	program, words, below := strings.Cut(name, " ")
	var b strings.Builder
	b.WriteString(wrap(strings.Fields(name+" - "+c.Usage), screenColumns, ""))
	if rows := examples(c); len(rows) > 0 {
		b.WriteString("\n" + table(rows))
	}
	if below {
		b.WriteString("\n" + wrap([]string{"usage:", synopsis(name, c)}, screenColumns, ""))
	}
	about := c.Description
	if first, _, more := strings.Cut(about, ". "); more && !all {
		about = first + "."
	}
	b.WriteString(wrap(strings.Fields(about), screenColumns, ""))
	commands := group(c.VisibleCommands(), func(c *cli.Command) (string, row) {
		return c.Category, row{c.Name, strings.Fields(c.Usage)}
	})
	flags := flags(c)
	if !all {
		flags = flags[:len(flags)-1] // all know --help, and have typed it
	}
	options := group(flags, func(f flag) (string, row) {
		return f.category, row{f.String(), strings.Fields(f.usage)}
	})
	if !below {
		options = nil
	}
	if !all {
		more := fmt.Sprintf("; %s help --all%s says what each does:", program, prefix(" ", words))
		if len(commands) > 0 {
			b.WriteString("\ncommands" + more + "\n" + names(commands))
			more = ":"
		}
		if below {
			b.WriteString("\nflags" + more + "\n" + names(options))
		}
		return b.String()
	}
	for _, g := range commands {
		fmt.Fprintf(&b, "\n%s:\n%s", cmp.Or(g.category, "commands"), table(g.members))
	}
	for _, g := range options {
		fmt.Fprintf(&b, "\n%s:\n%s", cmp.Or(g.category, "flags"), table(g.members))
	}
	if text := setting(flags); text != "" {
		b.WriteString("\n" + wrap(strings.Fields(text), screenColumns, ""))
	}
	return b.String()
}

// names is a table of groups, with no more than the names of what is in each.
func names(groups []grouped[row]) string {
	var rows []row
	for _, g := range groups {
		r := row{left: g.category}
		for i, member := range g.members {
			if i < len(g.members)-1 {
				member.left += ","
			}
			r.right = append(r.right, member.left)
		}
		rows = append(rows, r)
	}
	return table(rows)
}

// prefix puts before before text, unless that is empty.
func prefix(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
