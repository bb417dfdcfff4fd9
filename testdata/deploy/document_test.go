//go:build linux

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is the root of the source.
var tree = filepath.Join("..", "..")

// A command is one of a document's, as it stands there.
type command struct {
	heading string // that it is under
	first   bool   // of its block, for which a reader opens a shell
	text    string
	output  string // what the document shows of it, empty if nothing
}

// commands returns those of a document, in their order: of blocks for a shell,
// and of those that show a console. Blocks in the languages others are for
// others to test.
func commands(t *testing.T, path string, others ...string) (all []command) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var block []string
	heading, language, within := "", "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !within:
			block, language, within = nil, fence, true
		case isFence:
			within = false
			var parts []command
			switch {
			case language == "sh":
				parts = shell(block)
			case language == "console":
				parts = console(block)
			case !slices.Contains(others, language):
				t.Fatalf("%s, %s: a block of %q, which nobody executes", path, heading, language)
			}
			for i, c := range parts {
				c.heading, c.first = heading, i == 0
				all = append(all, c)
			}
		case within:
			block = append(block, line)
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		}
	}
	if within {
		t.Fatalf("%s: the last block does not end", path)
	}
	return all
}

// document is what begins with <<, and ends with this word.
var document = regexp.MustCompile(`<<([A-Z]+)$`)

// shell parts what is for a shell: a line is a command, with those that a
// backslash or a here-document adds.
func shell(lines []string) (all []command) {
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && strings.HasSuffix(lines[n-1], `\`) {
			n++
		}
		if m := document.FindStringSubmatch(lines[n-1]); m != nil {
			for n < len(lines) && lines[n-1] != m[1] {
				n++
			}
		}
		if text := strings.TrimSpace(strings.Join(lines[:n], "\n")); text != "" && text[0] != '#' {
			all = append(all, command{text: text})
		}
		lines = lines[n:]
	}
	return all
}

// console parts what a console shows: a command behind a $, and its output.
func console(lines []string) (all []command) {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, command{text: text})
		} else if len(all) > 0 {
			all[len(all)-1].output += line + "\n"
		}
	}
	return all
}

// A step is what a command of a document is to bring about.
type step struct {
	begins string // as the command does
	do     func(command)
}

// follow executes the commands of a document, each as the step says that begins
// as it does, for longest; ready goes before. A command that no step is for has
// not been executed, and fails the test; so does a step that no command is for.
func follow(t *testing.T, all []command, ready func(command), steps []step) {
	t.Helper()
	taken := make([]bool, len(steps))
	for _, c := range all {
		best := -1
		for i, s := range steps {
			if strings.HasPrefix(c.text, s.begins) && (best < 0 || len(s.begins) > len(steps[best].begins)) {
				best = i
			}
		}
		if best < 0 {
			t.Errorf("%s: no test executes\n%s", c.heading, c.text)
			continue
		}
		taken[best] = true
		ready(c)
		steps[best].do(c)
	}
	for i, s := range steps {
		if !taken[i] {
			t.Errorf("no command begins with %q", s.begins)
		}
	}
}

// What is in a document that is not executed is found.
func TestCommands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "document.md")
	const text = "# One\n\n```sh\n# nothing\na \\\n  b\n\ncat >f <<END\nc\nEND\nd # e\n```\n\n## Two\n\n```yaml\nf: g\n```\n\n```console\n$ h\ni\nj\n$ k\n```\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []command{
		{"One", true, "a \\\n  b", ""},
		{"One", false, "cat >f <<END\nc\nEND", ""},
		{"One", false, "d # e", ""},
		{"Two", true, "h", "i\nj\n"},
		{"Two", false, "k", ""},
	}
	if got := commands(t, path, "yaml"); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
