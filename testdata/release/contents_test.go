//go:build linux

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A place is where a file is in an artefact: its name, mode and content. A content is
// called by the file's name in an archive, the program's by share.
type place struct {
	name    string
	mode    fs.FileMode
	content string
}

// inArchive are the places in an archive whose program is called so.
func inArchive(program string) []place {
	return []place{
		{"LICENSE", 0o644, "LICENSE"},
		{"README.md", 0o644, "README.md"},
		{"completions/_share", 0o644, "completions/_share"},
		{"completions/share.bash", 0o644, "completions/share.bash"},
		{"completions/share.fish", 0o644, "completions/share.fish"},
		{"completions/share.ps1", 0o644, "completions/share.ps1"},
		{"share.1", 0o644, "share.1"},
		{program, 0o755, "share"},
	}
}

// inPackage are the places in a deb or rpm.
var inPackage = [...]place{
	{"usr/bin/share", 0o755, "share"},
	{"usr/share/bash-completion/completions/share", 0o644, "completions/share.bash"},
	{"usr/share/doc/share/copyright", 0o644, "LICENSE"},
	{"usr/share/fish/vendor_completions.d/share.fish", 0o644, "completions/share.fish"},
	{"usr/share/man/man1/share.1.gz", 0o644, "share.1"},
	{"usr/share/zsh/site-functions/_share", 0o644, "completions/_share"},
}

// contents are what is in the places of artefacts for p: the program as its archive
// has it, texts of the commit, and what the program for here writes.
func contents(t *testing.T, p platform) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"share": programOf(t, p)}
	for _, name := range []string{"LICENSE", "README.md"} {
		data, err := os.ReadFile(filepath.Join(made(t).tree, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	own := filepath.Join(t.TempDir(), "share")
	if err := os.WriteFile(own, programOf(t, here), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{"share.1": "man", "completions/share.bash": "completion bash",
		"completions/_share": "completion zsh", "completions/share.fish": "completion fish", "completions/share.ps1": "completion powershell"} {
		all[name] = []byte(output(t, ".", own, strings.Fields(command)...))
	}
	return all
}

// expect checks that the files of an artefact for p are in these places, as old as the
// commit.
func expect(t *testing.T, p platform, got []entry, places []place) {
	t.Helper()
	want, at := contents(t, p), commitTime(t)
	listing := func(mode fs.FileMode, name string) string { return fmt.Sprintf("%v %s\n", mode, name) }
	var gotList, wantList strings.Builder
	slices.SortFunc(got, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range got {
		gotList.WriteString(listing(e.mode, e.name))
		if !e.time.Equal(at) {
			t.Errorf("%s: got time %v, want %v", e.name, e.time, at)
		}
	}
	places = slices.SortedFunc(slices.Values(places), func(a, b place) int { return cmp.Compare(a.name, b.name) })
	for _, w := range places {
		wantList.WriteString(listing(w.mode, w.name))
	}
	if gotList.String() != wantList.String() {
		t.Fatalf("got\n%swant\n%s", &gotList, &wantList)
	}
	for i, w := range places {
		data := got[i].data
		if strings.HasSuffix(w.name, ".gz") {
			data = gunzip(t, data)
		}
		if len(want[w.content]) == 0 || !bytes.Equal(data, want[w.content]) {
			t.Errorf("%s: got %d bytes, want the %d of %s", w.name, len(data), len(want[w.content]), w.content)
		}
	}
}

// commitTime is when the commit was made.
func commitTime(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(output(t, made(t).tree, "git", "log", "-1", "--format=%cI")))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// programOf is the program in the archive for p.
func programOf(t *testing.T, p platform) []byte {
	t.Helper()
	for _, e := range archive(t, p) {
		if e.name == "share" || e.name == "share.exe" {
			return e.data
		}
	}
	t.Fatalf("the archive for %v has no program", p)
	return nil
}

// archive returns the files of the archive for p, without the folder that they are in.
func archive(t *testing.T, p platform) (entries []entry) {
	t.Helper()
	if p.os == "windows" {
		return unzip(t, read(t, p.stem()+".zip"))
	}
	for _, e := range untar(t, read(t, p.stem()+".tar.gz")) {
		name, ok := strings.CutPrefix(e.name, p.stem()+"/")
		if !ok {
			t.Errorf("%s is not in the folder %s", e.name, p.stem())
		}
		e.name = name
		entries = append(entries, e)
	}
	return entries
}

func TestArchives(t *testing.T) {
	for _, p := range platforms {
		t.Run(p.os+"_"+p.arch, func(t *testing.T) {
			name := "share"
			if p.os == "windows" {
				name = "share.exe"
			}
			expect(t, p, archive(t, p), inArchive(name))
		})
	}
}

func TestDebs(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			p := platform{"linux", arch}
			control, entries := undeb(t, read(t, p.stem()+".deb"))
			for _, want := range []string{"Package: share\n", "Version: 1.2.3\n", "Architecture: " + arch + "\n"} {
				if !strings.Contains(control, want) {
					t.Errorf("got\n%swant %s", control, want)
				}
			}
			for _, e := range entries {
				if e.owner != "root" {
					t.Errorf("%s: got owner %q, want root", e.name, e.owner)
				}
			}
			expect(t, p, entries, inPackage[:])
		})
	}
}

func TestRPMs(t *testing.T) {
	for arch, cpu := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			p := platform{"linux", arch}
			header, entries := unrpm(t, read(t, p.stem()+".rpm"))
			for tag, want := range map[uint32]string{rpmName: "share", rpmVersion: "1.2.3", rpmOS: "linux", rpmArch: cpu} {
				if got := text(header[tag]); got != want {
					t.Errorf("tag %d: got %q, want %q", tag, got, want)
				}
			}
			expect(t, p, entries, inPackage[:])
		})
	}
}

// npm leaves away what is for another platform than that of the computer.
func TestNPMPackages(t *testing.T) {
	optional := make(map[string]string)
	for _, p := range platforms {
		t.Run(p.os+"_"+p.arch, func(t *testing.T) {
			os, cpu, program := p.os, p.arch, "share"
			if os == "windows" {
				os, program = "win32", "share.exe"
			}
			if cpu == "amd64" {
				cpu = "x64"
			}
			name := "share-tunnel-" + os + "-" + cpu
			optional[name] = "1.2.3"
			entries := untar(t, read(t, name+"-1.2.3.tgz"))
			expectManifest(t, &entries, manifest{Name: name, OS: []string{os}, CPU: []string{cpu}, Files: []string{program}})
			expect(t, p, entries, []place{{"package/LICENSE", 0o644, "LICENSE"}, {"package/README.md", 0o644, "README.md"}, {"package/" + program, 0o755, "share"}})
		})
	}
	entries := untar(t, read(t, "share-tunnel-1.2.3.tgz"))
	expectManifest(t, &entries, manifest{Name: "share-tunnel", Bin: map[string]string{"share": "launch.js"}, Files: []string{"launch.js"}, Dependencies: optional})
	launch := slices.IndexFunc(entries, func(e entry) bool { return e.name == "package/launch.js" })
	if launch < 0 || entries[launch].mode != 0o755 || !bytes.Equal(entries[launch].data, launcher) {
		t.Fatalf("package/launch.js is missing or another")
	}
	entries = slices.Delete(entries, launch, launch+1)
	expect(t, here, entries, []place{{"package/LICENSE", 0o644, "LICENSE"}, {"package/README.md", 0o644, "README.md"}})
}

// expectManifest takes package.json out of entries, and checks it.
func expectManifest(t *testing.T, entries *[]entry, want manifest) {
	t.Helper()
	i := slices.IndexFunc(*entries, func(e entry) bool { return e.name == "package/package.json" })
	if i < 0 {
		t.Fatal("there is no package/package.json")
	}
	var got manifest
	if err := json.Unmarshal((*entries)[i].data, &got); err != nil {
		t.Fatal(err)
	}
	want.Version, want.License, want.Description = "1.2.3", "MIT", got.Description
	if !reflect.DeepEqual(got, want) || got.Description == "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	*entries = slices.Delete(*entries, i, i+1)
}
