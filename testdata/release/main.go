// Release makes what users install, of the commit that the tree is at: archives, deb
// and rpm, packages for npm, what each binary was made of, and a sum of each file.
// The same commit, with the same Go, gives the same bytes, wherever and whenever.
//
// It is a module of its own, so that the product's module does not require what only
// packages need.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	tree := flag.String("tree", filepath.Join("..", ".."), "build what is in `DIR`")
	out := flag.String("out", filepath.Join("..", "..", "dist"), "write to `DIR`, which is made anew")
	only := flag.String("only", "", "build for no other than `OS/ARCH,...` (default: all)")
	flag.Parse()
	if err := run(*tree, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(tree, out, only string) error {
	targets, err := choose(only)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	return release(tree, out, work, targets)
}

// A platform is what a binary runs on.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// platforms are all that there are binaries for.
var platforms = [...]platform{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// choose returns the platforms that only names, with commas between; all if it is
// empty.
func choose(only string) (chosen []platform, err error) {
	if only == "" {
		return platforms[:], nil
	}
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, p := range platforms {
			if p.String() == name {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no platform %q: want some of %v", name, platforms)
		}
	}
	return chosen, nil
}

// release writes to out what there is for each of targets.
func release(tree, out, work string, targets []platform) error {
	own, err := build(tree, filepath.Join(work, "own"), platform{runtime.GOOS, runtime.GOARCH})
	if err != nil {
		return err
	}
	more, err := readExtras(tree, own)
	if err != nil {
		return err
	}
	for _, p := range targets {
		b := own
		if p != own.platform {
			if b, err = build(tree, filepath.Join(work, p.os+"_"+p.arch), p); err != nil {
				return err
			}
		}
		fmt.Printf("%-14s %s, %d bytes\n", p, b.version, len(b.program))
		files := more.with(b)
		name := filepath.Join(out, fmt.Sprintf("share_%s_%s_%s", b.version, p.os, p.arch))
		if err := writeSBOM(name+".cdx.json", b); err != nil {
			return err
		}
		if p.os == "windows" {
			err = writeZip(name+".zip", files, b.time)
		} else {
			err = writeTar(name+".tar.gz", filepath.Base(name), files, b.time)
		}
		if err != nil {
			return err
		}
		if p.os == "linux" {
			for _, format := range []string{"deb", "rpm"} {
				if err := writePackage(name+"."+format, format, b, more); err != nil {
					return fmt.Errorf("%s: %w", format, err)
				}
			}
		}
		if err := writeNPM(out, b, more); err != nil {
			return err
		}
		if p == targets[len(targets)-1] {
			if err := writeLauncher(out, b, more); err != nil {
				return err
			}
		}
	}
	return writeSums(out)
}
