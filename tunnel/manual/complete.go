package manual

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// What may stand at the cursor beside an answer's words, which a shell knows itself.
const (
	nothing  = "nothing"
	files    = "files"
	folders  = "folders"
	programs = "programs"
)

// An answer is what the word at a shell's cursor may become.
type answer struct {
	beside string
	words  []suggestion
}

// A suggestion is a word, with what it does, which may be empty.
type suggestion struct{ word, usage string }

// completeCommand is what the scripts of share completion ask. It is given the words
// before the cursor, and the one there behind a =, for some shells drop an argument
// that is empty. It writes what may stand there beside words, on a line, and each
// word and what it does, with a tab between, on one more. All that begins otherwise
// than what was typed is for the shell to leave out.
func completeCommand() *cli.Command {
	return &cli.Command{
		Name:      "complete",
		Usage:     "say what a word may become",
		ArgsUsage: "-- WORD… =WORD",
		Hidden:    true,
		Action: func(c *cli.Context) error {
			_, words, _ := cmdline.Behind(c.Args().Slice())
			last := len(words) - 1
			if last < 0 || !strings.HasPrefix(words[last], "=") {
				return cmdline.Usage("", "complete wants the word at the cursor, behind a =")
			}
			_, top := root(c.App)
			return complete(c.Context, top, words[:last], words[last][1:]).write(c.App.Writer)
		},
	}
}

// write leaves out what would be more than a line.
func (a answer) write(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, a.beside)
	for _, s := range a.words {
		if !strings.ContainsFunc(s.word+s.usage, unicode.IsControl) && s.word != "" {
			fmt.Fprintf(&b, "%s\t%s\n", s.word, s.usage)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// complete says what word may become, behind the words before it on a command line.
func complete(ctx context.Context, top *cli.Command, before []string, word string) answer {
	if len(before) > 0 && before[0] == "help" && !strings.HasPrefix(word, "-") {
		c, _ := walk(top, slices.DeleteFunc(before[1:], func(w string) bool { return strings.HasPrefix(w, "-") }))
		return answer{nothing, commands(c)}
	}
	c, behind := walk(top, before)
	l := line{command: c, flags: flags(c), given: make(map[string]bool)}
	if a, ok := l.read(behind); ok {
		return a
	}
	name, _, has := strings.Cut(word, "=")
	switch f := l.find(name); {
	case !strings.HasPrefix(word, "-"):
		return l.argument(ctx)
	case !has:
		return l.flag()
	case f == nil || f.value == "":
		return answer{beside: nothing}
	default:
		return f.values(name + "=")
	}
}

// walk follows words down from top, as far as they are commands, and returns the rest.
func walk(top *cli.Command, words []string) (c *cli.Command, rest []string) {
	for i, word := range words {
		below := top.Command(word)
		if below == nil {
			return top, words[i:]
		}
		top = below
	}
	return top, nil
}

// A line is a command line as far as it is typed.
type line struct {
	command   *cli.Command
	flags     []flag
	given     map[string]bool // those that cannot be given again, by their first names
	arguments int
}

// read reads the words behind the command. If they say by themselves what comes
// next, it returns that.
func (l *line) read(words []string) (a answer, ok bool) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		name, _, has := strings.Cut(word, "=")
		f := l.find(name)
		switch {
		case word == "--" && !strings.Contains(l.command.ArgsUsage, "--"):
			return answer{beside: nothing}, true // arguments, which nobody writes so
		case word == "--" && i == len(words)-1:
			return answer{beside: programs}, true
		case word == "--":
			return answer{beside: files}, true
		case len(word) < 2 || word[0] != '-':
			l.arguments++
			continue
		case f == nil: // it is wrong already
			return answer{beside: nothing}, true
		}
		if !f.again {
			l.given[f.names[0]] = true
		}
		if f.value == "" || has {
			continue
		}
		if i++; i == len(words) {
			return f.values(""), true
		}
	}
	return answer{}, false
}

// find returns the flag that is typed so, with one dash or two, nil if there is none.
func (l *line) find(typed string) *flag {
	name := strings.TrimLeft(typed, "-")
	for i, f := range l.flags {
		if f.is("-"+name) || f.is("--"+name) {
			return &l.flags[i]
		}
	}
	return nil
}

// flag is what a word with a dash may become.
func (l *line) flag() answer {
	a := answer{beside: nothing}
	for _, f := range l.flags {
		if !l.given[f.names[0]] {
			a.words = append(a.words, suggestion{f.names[0], f.usage})
		}
	}
	return a
}

// argument is what a word without one may become. One argument is all that any
// command can have completed.
func (l *line) argument(ctx context.Context) answer {
	if l.arguments > 0 {
		return answer{beside: nothing}
	}
	a := answer{beside: kind(l.command.ArgsUsage)}
	if len(l.given) == 0 {
		a.words = commands(l.command)
	}
	if l.command.BashComplete == nil {
		return a
	}
	var b bytes.Buffer
	c := cli.NewContext(&cli.App{Writer: &b}, nil, nil)
	c.Context = ctx
	l.command.BashComplete(c)
	for name := range strings.Lines(b.String()) {
		a.words = append(a.words, suggestion{strings.TrimSuffix(name, "\n"), ""})
	}
	return a
}

// commands are those below c.
func commands(c *cli.Command) (words []suggestion) {
	for _, below := range c.VisibleCommands() {
		words = append(words, suggestion{below.Name, below.Usage})
	}
	return words
}

// values says what the flag's value may be, behind before.
func (f *flag) values(before string) answer {
	a := answer{beside: kind(f.value)}
	for _, word := range f.words {
		a.words = append(a.words, suggestion{before + word, ""})
	}
	return a
}

// kind is what a shell knows to complete of what is called so.
func kind(value string) string {
	switch value {
	case "FILE", "PROGRAM":
		return files
	case "DIR":
		return folders
	}
	return nothing
}
