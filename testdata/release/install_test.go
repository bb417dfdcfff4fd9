//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// starts checks that a program that is installed says its version.
func starts(t *testing.T, name string, args ...string) {
	t.Helper()
	got := output(t, t.TempDir(), name, append(args, "version")...)
	if want := "share v1.2.3\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// artefact is the path of a file of the first release.
func artefact(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(made(t).first, name)
}

func TestTar(t *testing.T) {
	dir := t.TempDir()
	output(t, dir, program(t, "tar", "tar"), "-xzf", artefact(t, here.stem()+".tar.gz"))
	starts(t, filepath.Join(dir, here.stem(), "share"))
}

// dpkg installs the package into a folder, with a database of its own.
func TestDeb(t *testing.T) {
	dpkg, root := program(t, "dpkg", "dpkg"), t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("dpkg installs as root only")
	}
	admin := filepath.Join(root, "var", "lib", "dpkg")
	for _, dir := range []string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(admin, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(admin, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	do := func(args ...string) string {
		t.Helper()
		return output(t, root, dpkg, append([]string{"--root=" + root, "--log=" + filepath.Join(root, "log")}, args...)...)
	}
	do("--force-script-chrootless", "-i", artefact(t, here.stem()+".deb"))
	if got := do("-s", "share"); !strings.Contains(got, "Status: install ok installed\n") {
		t.Errorf("got %s", got)
	}
	if got := do("-V", "share"); got != "" {
		t.Errorf("what is installed is not what the package says:\n%s", got)
	}
	binary := filepath.Join(root, "usr", "bin", "share")
	starts(t, binary)
	do("-r", "share")
	if _, err := os.Stat(binary); !os.IsNotExist(err) {
		t.Errorf("%s, after it was removed: got %v", binary, err)
	}
}

// rpm installs the package into a folder, with a database of its own.
func TestRPM(t *testing.T) {
	rpm, root := program(t, "rpm", "rpm"), t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("rpm installs into a folder as root only")
	}
	do := func(args ...string) {
		t.Helper()
		output(t, root, rpm, append([]string{"--root=" + root, "--dbpath=/db"}, args...)...)
	}
	do("-i", artefact(t, here.stem()+".rpm"))
	do("-V", "share")
	binary := filepath.Join(root, "usr", "bin", "share")
	starts(t, binary)
	do("-e", "share")
	if _, err := os.Stat(binary); !os.IsNotExist(err) {
		t.Errorf("%s, after it was removed: got %v", binary, err)
	}
}

// npx runs the program out of the packages, without a network: what is for other
// platforms is left away.
func TestNPM(t *testing.T) {
	npx, dir, cache := program(t, "npx", "npm"), t.TempDir(), t.TempDir()
	args := []string{"--offline", "--yes", "--cache", cache, "--package", artefact(t, here.npmName()+"-1.2.3.tgz"),
		"--package", artefact(t, "share-tunnel-1.2.3.tgz"), "--", "share"}
	starts(t, npx, args...)

	// The exit code is the program's.
	if out, code := ended(t, dir, npx, append(args, "nosuch")...); code != 2 || !strings.Contains(out, `there is no command "nosuch"`) {
		t.Errorf("got code %d, want 2: %s", code, out)
	}

	// npm packs what the package says that it has.
	output(t, dir, "tar", "-xzf", artefact(t, "share-tunnel-1.2.3.tgz"))
	got := output(t, filepath.Join(dir, "package"), program(t, "npm", "npm"), "pack", "--offline", "--cache", cache)
	for _, want := range []string{"launch.js", "package.json", license} {
		if !strings.Contains(got, want) {
			t.Errorf("npm pack: want %s: %s", want, got)
		}
	}

	// Without the program's package the wrapper says so.
	out, code := ended(t, dir, "node", filepath.Join("package", "launch.js"), "version")
	if code != 1 || !strings.Contains(out, "there is no "+here.npmName()+" here") {
		t.Errorf("without %s: got code %d, want 1: %s", here.npmName(), code, out)
	}
}
