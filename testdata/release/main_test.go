//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("RELEASE_MAIN") != "" {
		main()
		return
	}
	// All that tests and what they start leave goes with one folder.
	dir, err := os.MkdirTemp("", "releases")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const (
	// patience bounds each program that a test runs.
	patience = 2 * time.Minute

	// version is that of the releases: their clones have a tag for it.
	version = "1.2.3"
)

// here is what this runs on.
var here = platform{runtime.GOOS, runtime.GOARCH}

// A pair is two releases of one commit.
type pair struct{ dir, tree, first, second string }

// releases makes the first for all platforms, with what the go command remembers from
// builds before. The second is for here alone, and all that can differ does: the folder,
// a cache with nothing in it, so that each package is compiled again, and the user's
// settings.
var releases = sync.OnceValues(func() (p pair, err error) {
	if p.dir, err = os.MkdirTemp("", "releases"); err != nil {
		return p, err
	}
	p.tree, p.first, p.second = filepath.Join(p.dir, "tree"), filepath.Join(p.dir, "dist"), filepath.Join(p.dir, "a", "dist")
	if err := makeRelease(filepath.Join("..", ".."), p.first, "", "022"); err != nil {
		return p, err
	}
	settings := filepath.Join(p.dir, "env")
	if err := os.WriteFile(settings, []byte("GOFLAGS=-gcflags=-N\n"), 0o644); err != nil {
		return p, err
	}
	return p, makeRelease(p.tree, p.second, here.String(), "077", "GOCACHE="+filepath.Join(p.dir, "cache"),
		"GOENV="+settings, "GOFLAGS=", "CGO_ENABLED=1", "GOAMD64=v3", "GOARM64=v9.0", "TZ=Asia/Tokyo", "SOURCE_DATE_EPOCH=1")
})

// makeRelease makes a release in a process of its own, of a clone of from that it leaves
// beside out.
func makeRelease(from, out, only, umask string, env ...string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	tree := filepath.Join(filepath.Dir(out), "tree")
	cmd := exec.Command("sh", "-euc", `umask "$1"
		git clone -q --no-tags "$2" "$3"
		git -C "$3" update-ref "refs/tags/v$4" HEAD
		exec "$0" -tree "$3" -out "$5" -only "$6"`, program, umask, from, tree, version, out, only)
	cmd.Env = append(append(os.Environ(), "RELEASE_MAIN=1"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("release of %q: %w\n%s", only, err, text)
	}
	return nil
}

// made returns both releases.
func made(t *testing.T) pair {
	t.Helper()
	p, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// read returns a file of the first release.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(made(t).first, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// stem is how the names of what is for p begin.
func (p platform) stem() string {
	return "share_" + version + "_" + p.os + "_" + p.arch
}

// program returns the path of a program that the Debian package pkg brings. Without
// it the test is skipped; in CI it fails.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install the Debian package %s", name, pkg)
	default:
		t.Skipf("%s is missing: install the Debian package %s", name, pkg)
	}
	return ""
}

// output runs a program in dir, which must succeed, and returns what it writes.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, code := ended(t, dir, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// ended runs a program in dir, and returns what it writes and its exit code.
func ended(t *testing.T, dir, name string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	text, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// names are the files of a folder, sorted.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
