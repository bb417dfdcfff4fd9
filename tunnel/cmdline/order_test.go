package cmdline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

var takesValue = map[string]bool{"name": true, "hold": true, "json": false, "help": false}

func TestSplitFlags(t *testing.T) {
	tests := []struct {
		args  string
		flags string
		rest  string
		err   string
	}{
		{"", "", "", ""},
		{"8080", "", "8080", ""},
		{"8080 --name x", "--name=x", "8080", ""},
		{"--name x 8080", "--name=x", "8080", ""},
		{"--name=x 8080 -json", "--name=x --json=true", "8080", ""},
		{"8080 --json --hold 5s a b", "--json=true --hold=5s", "8080 a b", ""},
		{"--json=false 8080", "--json=false", "8080", ""},
		{"8080 -- npm run --name x", "", "8080 npm run --name x", ""},
		{"8080 --name=a=b", "--name=a=b", "8080", ""},
		{"8080 --name -", "--name=-", "8080", ""},
		{"- 8080", "", "- 8080", ""},
		{"8080 --name=--json", "--name=--json", "8080", ""},
		{"8080 -x", "", "", `there is no flag "-x"`},
		{"8080 --nmae x", "", "", `there is no flag "--nmae"`},
		{"8080 --nmae=x", "", "", `there is no flag "--nmae"`},
		{"8080 ---name x", "", "", `there is no flag "---name"`},
		{"8080 --=x", "", "", `there is no flag "--"`},
		{"-8080", "", "", `there is no flag "-8080"`},
		{"8080 --name", "", "", "flag --name wants a value"},
		{"8080 --name --json", "", "", "flag --name wants a value"},
		{"8080 --name --", "", "", "flag --name wants a value"},
		{"8080 --name=", "", "", "flag --name has an empty value"},
		{"8080 --json=maybe", "", "", `flag --json is true or false, not "maybe"`},
	}
	for _, tt := range tests {
		flags, rest, err := splitFlags(takesValue, strings.Fields(tt.args))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if strings.Join(flags, " ") != tt.flags || strings.Join(rest, " ") != tt.rest || got != tt.err {
			t.Errorf("%q: got flags %q, rest %q, error %q", tt.args, flags, rest, got)
		}
	}
	if _, _, err := splitFlags(takesValue, []string{"--name", ""}); err == nil {
		t.Error("an empty value is taken")
	}
}

func TestReorder(t *testing.T) {
	ls := &cli.Command{Name: "ls", Flags: []cli.Flag{&cli.StringFlag{Name: "data"}}}
	commands := []*cli.Command{
		{Name: "run", ArgsUsage: "TARGET [-- COMMAND]", Flags: []cli.Flag{&cli.StringFlag{Name: "name"}}},
		{Name: "http", Flags: []cli.Flag{&cli.StringFlag{Name: "name"}, &cli.BoolFlag{Name: "json"}}},
		{Name: "relay", Flags: []cli.Flag{&cli.StringFlag{Name: "http"}}, Subcommands: []*cli.Command{{Name: "token", Subcommands: []*cli.Command{ls}}}},
	}
	for args, want := range map[string]string{
		"share":                           "share",
		"share --help":                    "share --help",
		"share tcp 80 --x":                "share tcp 80 --x",
		"share http":                      "share http --",
		"share http 80 --name x -json":    "share http --name=x --json=true -- 80",
		"share http 80 --json -h":         "share http --help",
		"share http 80 -- --name x":       "share http -- 80 --name x",
		"share run 80 -- npm --name x":    "share run -- 80 -- npm --name x",
		"share run --name x -- 80 -- -h":  "share run --name=x -- -- 80 -- -h",
		"share run 80 --":                 "share run -- 80 --",
		"share help http":                 "share help http",
		"share relay --http x":            "share relay --http=x --",
		"share relay token":               "share relay token --",
		"share relay token x":             "share relay token -- x",
		"share relay token ls x --data d": "share relay token ls --data=d -- x",
		"share relay token ls -h":         "share relay token ls --help",
		"share --version":                 "share version",
	} {
		got, err := Reorder(commands, strings.Fields(args))
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, %v, want %q", args, got, err, want)
		}
	}
	for args, want := range map[string]string{
		"share http --x":                 "there is no flag",
		"share relay --http x token ls":  "token stands before all flags",
		"share relay -- token ls":        "token stands before all flags",
		"share relay token ls --http x":  "there is no flag",
		"share relay token --data d ls ": "there is no flag",
	} {
		if _, err := Reorder(commands, strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestBehind(t *testing.T) {
	for args, want := range map[string]string{
		"":              "[] [] false",
		"80":            "[80] [] false",
		"80 --":         "[80] [] true",
		"80 -- a -- -b": "[80] [a -- -b] true",
		"-- a":          "[] [a] true",
	} {
		before, behind, found := Behind(strings.Fields(args))
		if got := fmt.Sprint(before, behind, found); got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
}

// FuzzSplitFlags states that nothing is lost or made up: what is no flag stays
// in order, each flag is one of the command's, all that stands behind -- is an
// argument, and what comes out is a fixed point.
func FuzzSplitFlags(f *testing.F) {
	for _, s := range []string{"8080\x00--name\x00x", "--name=x\x008080\x00--json", "8080\x00--\x00-x", "-\x00--=\x00---"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args := strings.Split(s, "\x00")
		flags, rest, err := splitFlags(takesValue, slices.Clone(args))
		if err != nil {
			if len(flags)+len(rest) > 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: got %q, %q beside error %q", args, flags, rest, err)
			}
			return
		}
		for _, flag := range flags {
			name, value, ok := strings.Cut(flag, "=")
			if _, known := takesValue[strings.TrimPrefix(name, "--")]; !known || !ok || value == "" {
				t.Errorf("%q: got flag %q", args, flag)
			}
		}
		next := 0
		for _, arg := range rest {
			i := slices.Index(args[next:], arg)
			if i < 0 {
				t.Fatalf("%q: rest %q is not in order", args, rest)
			}
			next += i + 1
		}
		if i := slices.Index(args, "--"); i >= 0 {
			if after := args[i+1:]; !slices.Equal(after, rest[len(rest)-len(after):]) {
				t.Errorf("%q: what stands behind -- became %q", args, rest)
			}
		}
		again, same, err := splitFlags(takesValue, slices.Concat(flags, []string{"--"}, rest))
		if err != nil || !slices.Equal(again, flags) || !slices.Equal(same, rest) {
			t.Errorf("%q: got %q, %q, then %q, %q, %v", args, flags, rest, again, same, err)
		}
	})
}
