package manual

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// statuses are what the program exits with, and what for.
const statuses = `0	stopped on request, or by a limit that was asked for
1	unexpected; an address in use; what was asked for cannot be had
2, 3	usage; a file that is unreadable or invalid
4, 5	token refused; refused by the relay, or the name is taken
6, 7	relay unreachable or lost; target never came up, or down for too long
8	too old for this relay
126, 127	the command behind -- may not be run; there is none
129, 130, 143	interrupted before ready, by SIGHUP, SIGINT, SIGTERM
141	nobody reads the output any more
any	that of the command behind --
`

// roffColumns are those of a line before it is escaped, which is then rarely above 80.
const roffColumns = 65

// page is a manual page, in the macros that man(1) knows everywhere.
func page(name string, top *cli.Command, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"User Commands\"\n", strings.ToUpper(name), roff(name+" "+version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", name, roff(top.Usage))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\nCOMMAND [FLAG\\&.\\|.\\|.\\&] [ARGUMENT\\&.\\|.\\|.\\&]\n", name)
	writeProse(&b, ".PP", top.Description)
	if rows := examples(top); len(rows) > 0 {
		b.WriteString(".SH EXAMPLES\n")
		writeExamples(&b, rows)
	}
	b.WriteString(".SH COMMANDS\nFlags may stand before or after the other arguments. Each command has \\-\\-help.\n")
	for _, c := range top.VisibleCommands() {
		writeCommand(&b, name+" "+c.Name, c)
	}
	b.WriteString(".SH EXIT STATUS\n")
	for line := range strings.Lines(statuses) {
		code, what, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(code), roff(what))
	}
	return b.String()
}

// writeCommand writes what there is to say of a command, and of those below it.
func writeCommand(b *strings.Builder, name string, c *cli.Command) {
	fmt.Fprintf(b, ".SS %s\n", roff(synopsis(name, c)))
	fmt.Fprintf(b, "%s.\n", roff(capital(c.Usage)))
	writeProse(b, ".PP", c.Description)
	writeExamples(b, examples(c))
	all := flags(c)
	all = all[:len(all)-1] // --help
	for _, g := range group(all, func(f flag) (string, flag) { return f.category, f }) {
		if g.category != "" {
			writeProse(b, ".PP", capital(g.category)+":")
		}
		for _, f := range g.members {
			head := fmt.Sprintf(".TP\n\\fB%s\\fR%s", roff(strings.Join(f.names, ", ")), roff(prefix(" ", f.value)))
			writeProse(b, head, f.usage)
		}
	}
	writeProse(b, ".PP", setting(all))
	for _, below := range c.VisibleCommands() {
		writeCommand(b, name+" "+below.Name, below)
	}
}

// writeProse writes text below head, on lines of its own, if there is any.
func writeProse(b *strings.Builder, head, text string) {
	if text == "" {
		return
	}
	b.WriteString(head + "\n")
	for line := range strings.Lines(wrap(strings.Fields(text), roffColumns, "")) {
		b.WriteString(roff(strings.TrimSuffix(line, "\n")) + "\n")
	}
}

func writeExamples(b *strings.Builder, rows []row) {
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(r.left), cmp.Or(roff(strings.Join(r.right, " ")), "\\&"))
	}
}

// capital begins text as a sentence begins.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// roff writes text so that it is text: nothing in it is a request or an escape, and a
// dash is the one that is typed.
func roff(text string) string {
	var b strings.Builder
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		b.WriteString(`\&`)
	}
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '`':
			b.WriteString("\\(ga")
		case r < ' ':
			b.WriteByte(' ')
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
