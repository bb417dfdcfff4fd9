//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A release has these files, and no others.
func TestNames(t *testing.T) {
	want := []string{"SHA256SUMS", "share-tunnel-1.2.3.tgz"}
	for _, p := range []string{"darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-arm64", "win32-x64"} {
		want = append(want, "share-tunnel-"+p+"-1.2.3.tgz")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, end := range []string{"darwin_" + arch + ".tar.gz", "linux_" + arch + ".tar.gz", "windows_" + arch + ".zip",
			"darwin_" + arch + ".cdx.json", "linux_" + arch + ".cdx.json", "windows_" + arch + ".cdx.json",
			"linux_" + arch + ".deb", "linux_" + arch + ".rpm"} {
			want = append(want, "share_1.2.3_"+end)
		}
	}
	slices.Sort(want)
	if got := names(t, made(t).first); !slices.Equal(got, want) {
		t.Errorf("got %q,\nwant %q", got, want)
	}
}

// Two releases of one commit have the same bytes.
func TestSame(t *testing.T) {
	p := made(t)
	both := names(t, p.second)
	if len(both) != 7 {
		t.Fatalf("got %q, want 7 files", both)
	}
	for _, name := range both {
		first := read(t, name)
		second, err := os.ReadFile(filepath.Join(p.second, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "SHA256SUMS" { // of fewer
			for line := range strings.Lines(string(second)) {
				if !strings.Contains(string(first), line) {
					t.Errorf("the first has no sum %s", line)
				}
			}
			continue
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s: got %x and %x", name, sha256.Sum256(first), sha256.Sum256(second))
		}
	}
}

// Zips are made for platforms that TestSame leaves out.
func TestSameZip(t *testing.T) {
	dir, at := t.TempDir(), time.Unix(1e9, 0)
	files := []file{{"share.exe", []byte("program"), 0o755}, {license, []byte("text"), 0o644}}
	var zips [2][]byte
	for i, zone := range []*time.Location{time.UTC, time.FixedZone("east", 9*60*60)} {
		name := filepath.Join(dir, "zip")
		if err := writeZip(name, files, at.In(zone)); err != nil {
			t.Fatal(err)
		}
		var err error
		if zips[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Errorf("got %q and %q", zips[0], zips[1])
	}
}

func TestSums(t *testing.T) {
	dir := made(t).first
	got := output(t, dir, program(t, "sha256sum", "coreutils"), "--strict", "-c", "SHA256SUMS")
	for _, name := range names(t, dir) {
		if want := name != "SHA256SUMS"; strings.Contains(got, name+": OK\n") != want {
			t.Errorf("%s has a sum: got %t, want %t", name, !want, want)
		}
	}
}

// What is not in the commit is not in a release.
func TestChanged(t *testing.T) {
	tree := t.TempDir()
	output(t, tree, "sh", "-euc", `git init -q .
		echo 'module share' > go.mod
		echo 'package main; func main() {}' > main.go
		git add .
		git -c user.name=a -c user.email=a@localhost -c commit.gpgsign=false commit -qm one`)
	if b, err := build(tree, t.TempDir(), here); err != nil || !strings.HasPrefix(b.version, "0.0.0-") {
		t.Fatalf("a commit without a tag: got %+v, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(tree, "more.go"), []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := build(tree, t.TempDir(), here); err == nil || !strings.Contains(err.Error(), "has changes") {
		t.Errorf("a file that is not in the commit: got %v", err)
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
