//go:build unix

package devservers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// patience bounds each wait; a server compiles its first page in a few seconds.
const patience = time.Minute

// packages are what npm brings. Tests hold for these versions; they say what
// servers do, so a newer one is tried by changing them.
func packages() []string {
	return []string{"vite@8.4.0", "next@16.4.6", "react@19.3.1", "react-dom@19.3.1", "webpack@5.113.0", "webpack-cli@7.3.1", "webpack-dev-server@5.2.7"}
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir := os.Getenv("DEVSERVERS")
	if dir == "" {
		made, err := os.MkdirTemp("", "devservers")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(made)
		dir = made
		if err := os.Setenv("DEVSERVERS", dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "vite")); err != nil {
		cmd := exec.Command("npm", append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--no-save"}, packages()...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
	}
	bin, err := os.MkdirTemp("", "share")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	program, err := rig.Build(context.Background(), bin)
	if err == nil {
		err = os.Setenv("DEVSERVERS_SHARE", program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// project writes files into a folder of the test's own below that of the modules,
// where their packages are found, and returns it.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("DEVSERVERS"), "project")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edit replaces a text in a file.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
}
