//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/macho"
	"debug/pe"
	"encoding/json"
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
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if made, err := releases(); err == nil {
			os.RemoveAll(made.dir)
		}
		os.Exit(code)
	}))
}

// patience bounds each program that a test runs.
const patience = 2 * time.Minute

// here is what this runs on, there is elsewhere.
var (
	here  = platform{runtime.GOOS, runtime.GOARCH}
	there = []platform{{"windows", "amd64"}, {"darwin", "arm64"}}
)

// A pair is two releases of one commit, from clones in two folders.
type pair struct{ dir, first, second string }

// releases makes the first for here and elsewhere, the second for here.
var releases = sync.OnceValues(func() (p pair, err error) {
	if p.dir, err = os.MkdirTemp("", "releases"); err != nil {
		return p, err
	}
	p.first, p.second = filepath.Join(p.dir, "dist"), filepath.Join(p.dir, "a", "dist")
	for out, targets := range map[string][]platform{p.first: append([]platform{here}, there...), p.second: {here}} {
		tree := filepath.Join(filepath.Dir(out), "tree")
		if text, err := exec.Command("git", "clone", "-q", filepath.Join("..", ".."), tree).CombinedOutput(); err != nil {
			return p, fmt.Errorf("git clone: %w\n%s", err, text)
		}
		var names []string
		for _, t := range targets {
			names = append(names, t.String())
		}
		if err := run(tree, out, strings.Join(names, ",")); err != nil {
			return p, err
		}
	}
	return p, nil
})

// made returns the one file of the first release that ends so.
func made(t *testing.T, end string) string {
	t.Helper()
	p, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(p.first, "*"+end))
	if err != nil || len(found) != 1 {
		t.Fatalf("*%s: got %v, %v", end, found, err)
	}
	return found[0]
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// starts checks that what is installed says the version that its file is called by.
func starts(t *testing.T, name string, args ...string) {
	t.Helper()
	_, rest, _ := strings.Cut(filepath.Base(made(t, here.arch+".tar.gz")), "_")
	version, _, _ := strings.Cut(rest, "_")
	got := output(t, t.TempDir(), name, append(args, "version")...)
	if want := "share v" + version + "\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// Two clones give the same bytes.
func TestSame(t *testing.T) {
	p, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(p.second)
	if err != nil || len(entries) < 7 {
		t.Fatalf("got %d files, %v", len(entries), err)
	}
	for _, e := range entries {
		if e.Name() == "SHA256SUMS" {
			continue
		}
		first, err := os.ReadFile(filepath.Join(p.first, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(p.second, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s: %x and %x", e.Name(), sha256.Sum256(first), sha256.Sum256(second))
		}
	}
}

func TestSums(t *testing.T) {
	sums := made(t, "SHA256SUMS")
	got := output(t, filepath.Dir(sums), program(t, "sha256sum", "coreutils"), "-c", filepath.Base(sums))
	if n := strings.Count(got, ": OK\n"); n < 12 {
		t.Errorf("got %d files:\n%s", n, got)
	}
}

func TestTar(t *testing.T) {
	dir, name := t.TempDir(), made(t, here.arch+".tar.gz")
	output(t, dir, program(t, "tar", "tar"), "-xzf", name)
	folder := filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".tar.gz"))
	starts(t, filepath.Join(folder, "share"))
	for _, name := range []string{license, readme, manual, bashScript, zshScript, fishScript, psScript} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// dpkg installs the package into a folder, with a database of its own.
func TestDeb(t *testing.T) {
	dpkg, root := program(t, "dpkg", "dpkg"), t.TempDir()
	if os.Getuid() != 0 {
		output(t, root, "dpkg-deb", "-x", made(t, ".deb"), root)
	} else {
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
		output(t, root, dpkg, "--root="+root, "--force-script-chrootless", "--log="+filepath.Join(root, "log"), "-i", made(t, ".deb"))
		if got := output(t, root, dpkg, "--root="+root, "-s", "share"); !strings.Contains(got, "Status: install ok installed\n") {
			t.Errorf("got %s", got)
		}
	}
	starts(t, filepath.Join(root, "usr", "bin", "share"))
}

func TestRPM(t *testing.T) {
	dir := t.TempDir()
	program(t, "cpio", "cpio")
	output(t, dir, "sh", "-c", `"$0" "$1" | cpio -id --quiet`, program(t, "rpm2cpio", "rpm2cpio"), made(t, ".rpm"))
	starts(t, filepath.Join(dir, "usr", "bin", "share"))
}

// npx runs the program out of the packages, without a network: what is for other
// platforms is left away.
func TestNPM(t *testing.T) {
	npx := program(t, "npx", "npm")
	var packages []string
	p, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{here.npmName(), npmName} {
		found, err := filepath.Glob(filepath.Join(p.first, name+"-[0-9]*.tgz"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: got %v, %v", name, found, err)
		}
		packages = append(packages, "--package", found[0])
	}
	args := append([]string{"--offline", "--yes", "--cache", t.TempDir()}, packages...)
	starts(t, npx, append(args, "--", "share")...)
	// The exit code is the program's.
	cmd := exec.Command(npx, append(args, "--", "share", "nosuch")...)
	cmd.Dir = t.TempDir()
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), `there is no command "nosuch"`) {
		t.Errorf("got code %d, want 2: %s", cmd.ProcessState.ExitCode(), out)
	}
	// npm packs what the package says that it has.
	dir := t.TempDir()
	output(t, dir, "tar", "-xzf", packages[3])
	got := output(t, filepath.Join(dir, "package"), program(t, "npm", "npm"), "pack", "--offline", "--cache", t.TempDir())
	for _, want := range []string{"launch.js", "package.json", license} {
		if !strings.Contains(got, want) {
			t.Errorf("npm pack: want %s: %s", want, got)
		}
	}
}

// What cannot be started here has the header of where it can.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	output(t, dir, "tar", "-xzf", made(t, "darwin_arm64.tar.gz"), "--strip-components=1")
	mac, err := macho.Open(filepath.Join(dir, "share"))
	if err != nil {
		t.Fatal(err)
	}
	defer mac.Close()
	if mac.Cpu != macho.CpuArm64 || mac.Type != macho.TypeExec {
		t.Errorf("got %v, %v", mac.Cpu, mac.Type)
	}
	windows := readZip(t, made(t, "windows_amd64.zip"), "share.exe")
	exe, err := pe.NewFile(bytes.NewReader(windows))
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	if exe.Machine != pe.IMAGE_FILE_MACHINE_AMD64 || exe.Characteristics&pe.IMAGE_FILE_EXECUTABLE_IMAGE == 0 {
		t.Errorf("got machine %#x, %#x", exe.Machine, exe.Characteristics)
	}
}

// The binary asks for nothing of the system's, and is not too large.
func TestStatic(t *testing.T) {
	dir := t.TempDir()
	output(t, dir, "tar", "-xzf", made(t, here.arch+".tar.gz"), "--strip-components=1")
	path := filepath.Join(dir, "share")
	if needs := needed(t, path); len(needs) > 0 {
		t.Errorf("it needs %v", needs)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 20<<20 {
		t.Errorf("it has %d bytes, %v", info.Size(), err)
	}
}

func TestSBOM(t *testing.T) {
	text, err := os.ReadFile(made(t, here.os+"_"+here.arch+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Metadata               struct{ Component component }
		Components             []component
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Metadata.Component.Name != "share" {
		t.Errorf("got %+v", bom.Metadata)
	}
	names := make(map[string]bool)
	for _, c := range bom.Components {
		if c.Version == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("got %+v", c)
		}
		names[c.Name] = true
	}
	for _, want := range []string{"std", "github.com/urfave/cli/v2", "github.com/hashicorp/yamux"} {
		if !names[want] {
			t.Errorf("it has no %s", want)
		}
	}
}

// A release is built as make build does it.
func TestFlags(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("CGO_ENABLED=0 $(GO) build %s %s %s -buildvcs=auto %s '%s' -o share .", buildFlags[0], buildFlags[1], buildFlags[2], buildFlags[4], buildFlags[5])
	if !strings.Contains(string(text), want) {
		t.Errorf("the Makefile has no %s", want)
	}
}

func TestChoose(t *testing.T) {
	for only, want := range map[string]int{"": 6, "linux/amd64": 1, "linux/arm64,windows/amd64": 2, "plan9/amd64": 0, "linux": 0} {
		if got, err := choose(only); len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %v, %v", only, got, err)
		}
	}
}
