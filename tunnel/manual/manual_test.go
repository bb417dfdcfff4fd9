package manual

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// tree is an app with one of each. It writes to w.
func tree(w io.Writer) *cli.App {
	var text string
	var texts []string
	var toggle, hidden bool
	var choice int
	once := cmdline.Toggle("once", "end after one", &toggle)
	cmdline.Unset([]cli.Flag{once})
	app := &cli.App{
		Name: "prog", Usage: "do it", UsageText: "prog run 1\trun one\nprog ls", Writer: w, ErrWriter: w,
		HideHelpCommand: true, Flags: []cli.Flag{cli.HelpFlag}, ExitErrHandler: func(*cli.Context, error) {},
		Commands: append([]*cli.Command{{
			Name: "run", Usage: "run it", Category: "do", ArgsUsage: "TARGET [-- COMMAND…]",
			Description: "A \\ and a ~ are no escapes, 'quotes' stay.\n.SH is none. It goes on.",
			Flags: append(cmdline.Under("where",
				cmdline.Text("file", "write to `FILE`", &text),
				cmdline.Text("dir", "write into `DIR`", &text),
				cmdline.Texts("to", "send to `ADDR`; again for more", &texts)),
				cmdline.Value("level", "from `LEVEL` on", cmdline.Choice(&choice, map[string]int{"low": 1, "high": 2})),
				once,
				&cli.BoolFlag{Name: "secret", Hidden: true, Destination: &hidden}),
		}, {
			Name: "show", Usage: "show one", Category: "see", ArgsUsage: "[NAME]",
			BashComplete: func(c *cli.Context) { fmt.Fprint(c.App.Writer, "a\nb\x1b[m\nc\n") },
		}, {
			Name: "keep", Usage: "keep things", Category: "see",
			Subcommands: []*cli.Command{
				{Name: "save", Usage: "save them", ArgsUsage: "FILE"},
				{Name: "ls", Usage: "list them"},
			},
		}}, Commands("1.2.3")...),
	}
	cmdline.Prepare(app.Commands)
	return app
}

// run runs args, as main does, and returns what they write.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var b bytes.Buffer
	app := tree(&b)
	args, err := cmdline.Reorder(app.Commands, append([]string{"prog"}, args...))
	if err == nil {
		err = app.Run(args)
	}
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return b.String()
}

// What is written is what the golden files have; UPDATE=1 writes them anew.
func TestGolden(t *testing.T) {
	for file, args := range map[string]string{
		"man.golden":       "man",
		"help.golden":      "help --all",
		"help_run.golden":  "help --all run",
		"help_keep.golden": "help keep",
	} {
		got := run(t, strings.Fields(args)...)
		path := filepath.Join("testdata", file)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("prog %s: got\n%s\nwant\n%s", args, got, want)
		}
	}
}

// What does not fit a screen is told by its names alone.
func TestScreen(t *testing.T) {
	c := &cli.Command{Name: "many", Usage: "have many", Description: "It has many. More of it does not fit."}
	for n := range 40 {
		got := screen("prog many", c)
		if lines := strings.Count(got, "\n"); lines > screenLines {
			t.Fatalf("%d flags: got %d lines, want %d at most:\n%s", n, lines, screenLines, got)
		}
		if strings.Contains(got, "does not fit") == strings.Contains(got, "help --all many") {
			t.Errorf("%d flags: got\n%s", n, got)
		}
		c.Flags = append(c.Flags, &cli.StringFlag{Name: fmt.Sprintf("flag%d", n), Usage: "set `TEXT`"})
	}
}

func TestComplete(t *testing.T) {
	tests := []struct {
		before string
		word   string
		want   string // beside, and the words
	}{
		{"", "", "nothing run show keep help man completion"},
		{"", "-", "nothing --help"},
		{"run", "", "nothing"},
		{"run", "-", "nothing --file --dir --to --level --once --help"},
		{"run --file x --once 1", "--", "nothing --dir --to --level --help"},
		{"run --to x", "-", "nothing --file --dir --to --level --once --help"},
		{"run --file", "", "files"},
		{"run -file", "", "files"},
		{"run --dir", "x", "folders"},
		{"run --level", "", "nothing high low"},
		{"run", "--level=h", "nothing --level=high --level=low"},
		{"run", "--once=", "nothing"},
		{"run", "--nosuch=", "nothing"},
		{"run --nosuch", "", "nothing"},
		{"run --to", "", "nothing"},
		{"run 1 --", "", "programs"},
		{"run 1 -- a", "-", "files"},
		{"show", "", "nothing a c"},
		{"show a", "", "nothing"},
		{"show --", "", "nothing"},
		{"keep", "", "nothing save ls"},
		{"keep save", "", "files"},
		{"keep save x", "", "nothing"},
		{"keep nosuch", "", "nothing"},
		{"nosuch", "", "nothing"},
		{"help", "", "nothing run show keep help man completion"},
		{"help keep", "", "nothing save ls"},
		{"help --all keep", "", "nothing save ls"},
		{"help", "--", "nothing --all --help"},
		{"completion", "", "nothing bash zsh fish powershell"},
	}
	for _, tt := range tests {
		args := append(append([]string{"complete", "--"}, strings.Fields(tt.before)...), "="+tt.word)
		var got []string
		for line := range strings.Lines(run(t, args...)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%q, %q: got %s, want %s", tt.before, tt.word, text, tt.want)
		}
	}
}

// FuzzComplete states that any line has an answer, whose lines are whole.
func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "run\x00--file\x00", "run\x00--\x00--\x00x", "help\x00--all\x00-", "keep\x00-=\x00--="} {
		f.Add(s)
	}
	_, top := root(tree(io.Discard))
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, "\x00")
		last := len(words) - 1
		var b bytes.Buffer
		if err := complete(t.Context(), top, words[:last], words[last]).write(&b); err != nil {
			t.Fatal(err)
		}
		beside, rest, _ := strings.Cut(b.String(), "\n")
		switch beside {
		case nothing, files, folders, programs:
		default:
			t.Errorf("%q: got %q first", s, beside)
		}
		for line := range strings.Lines(rest) {
			if word, _, ok := strings.Cut(line, "\t"); !ok || word == "" || !strings.HasSuffix(line, "\n") {
				t.Errorf("%q: got line %q", s, line)
			}
		}
	})
}

// FuzzRoff states that no line of what is text becomes a request, and that nothing
// but our own escapes is one.
func FuzzRoff(f *testing.F) {
	for _, s := range []string{".SH x", "'br", `\fB`, "a…b", "-", "\x00\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := roff(s)
		if strings.ContainsAny(got, "\n'") || strings.HasPrefix(got, ".") || !utf8.ValidString(got) {
			t.Errorf("%q: got %q", s, got)
		}
		for rest := got; ; {
			i := strings.IndexByte(rest, '\\')
			if i < 0 {
				break
			}
			rest = rest[i+1:]
			if rest == "" || !strings.ContainsRune(`&e-([`, rune(rest[0])) {
				t.Fatalf("%q: got %q", s, got)
			}
		}
	})
}

func TestWrap(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"a":               "a\n",
		"aa bb cc":        "aa bb\n  cc\n",
		"aaaaaaaaa b":     "aaaaaaaaa\n  b\n",
		"äö üä ß":         "äö üä\n  ß\n",
		"a b c d e f g h": "a b c\n  d e f\n  g h\n",
	} {
		if got := wrap(strings.Fields(text), 5, "  "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
