//go:build linux

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the documents call flags, commands, variables of the environment and what
// make makes are those that there are.
func TestNames(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(tree, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	known := flags(t, "relay")
	for _, command := range []string{"http", "login", "up", "config", "help"} {
		for name := range flags(t, command) {
			known[name] = true
		}
	}
	// Tokens and where they are kept, what CI says of a job and what it is told are no
	// flags.
	variables := []string{"SHARE_TOKEN", "SHARE_KEYRING", "SHARE_ADMIN_TOKEN", "SHARE_ID_TOKEN", "SHARE_URL"}
	for name := range known {
		variables = append(variables, "SHARE_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	}
	var (
		span     = regexp.MustCompile("`[^`]+`")
		flag     = regexp.MustCompile(`(?:^|[ |])--([a-z][a-z-]*)`)
		variable = regexp.MustCompile(`\bSHARE_[A-Z_]+`)
		target   = regexp.MustCompile(`\bmake ([a-z]+)`)
		spoken   = regexp.MustCompile(`^share((?: [a-z]+)+)`)
	)
	for _, path := range []string{filepath.Join(tree, "README.md"), filepath.Join(folder, "README.md"), filepath.Join(folder, "attacks.md")} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range span.FindAllString(prose(string(text)), -1) {
			s = strings.ReplaceAll(strings.Trim(s, "`"), "\n", " ")
			for _, m := range flag.FindAllStringSubmatch(s, -1) {
				if !known[m[1]] && m[1] != "help" {
					t.Errorf("%s: %s: there is no flag --%s", path, s, m[1])
				}
			}
			for _, name := range variable.FindAllString(s, -1) {
				if !slices.Contains(variables, name) {
					t.Errorf("%s: %s: nothing reads %s", path, s, name)
				}
			}
			if m := target.FindStringSubmatch(s); m != nil && !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: %s: there is no %s to make", path, s, m[1])
			}
			if m := spoken.FindStringSubmatch(s); m != nil {
				if out, err := exec.Command(build(t), append(strings.Fields(m[1]), "--help")...).CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", path, s, err, out)
				}
			}
		}
	}
}

// flags are those of a command and of all below it, as help has them.
func flags(t *testing.T, words ...string) map[string]bool {
	t.Helper()
	out, err := exec.Command(build(t), append([]string{"help", "--all"}, words...)...).Output()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	all := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(string(out), -1) {
		all[m[1]] = true
	}
	_, below, _ := strings.Cut(string(out), "\ncommands:\n")
	below, _, _ = strings.Cut(below, "\n\n")
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+)`).FindAllStringSubmatch(below, -1) {
		for name := range flags(t, append(slices.Clone(words), m[1])...) {
			all[name] = true
		}
	}
	return all
}

// prose is a document without its blocks.
func prose(text string) string {
	var b strings.Builder
	within := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			within = !within
		} else if !within {
			b.WriteString(line)
		}
	}
	return b.String()
}
