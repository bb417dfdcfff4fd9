package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// buildFlags are those of make build; a test compares them. A binary that does not
// know its commit is no release.
var buildFlags = [...]string{"-trimpath", "-tags", "urfave_cli_no_docs,noasm", "-buildvcs=true", "-ldflags", "-s -w"}

// A binary is the program for one platform, and what it says of itself.
type binary struct {
	platform
	path    string
	program []byte
	version string // without the v
	time    time.Time
	info    *buildinfo.BuildInfo
}

// file is what the program is called there.
func (p platform) file() string {
	if p.os == "windows" {
		return "share.exe"
	}
	return "share"
}

// build builds the program in tree for p, in the folder work. What is not in the commit
// that tree is at is an error: nobody else could build that.
func build(tree, work string, p platform) (*binary, error) {
	b := &binary{platform: p, path: filepath.Join(work, p.file())}
	if err := goBuild(tree, b.path, p); err != nil {
		return nil, err
	}
	var err error
	if b.program, err = os.ReadFile(b.path); err != nil {
		return nil, err
	}
	if b.info, err = buildinfo.ReadFile(b.path); err != nil {
		return nil, err
	}
	b.version = strings.TrimPrefix(b.info.Main.Version, "v")
	modified := false
	for _, s := range b.info.Settings {
		switch s.Key {
		case "vcs.time":
			b.time, err = time.Parse(time.RFC3339, s.Value)
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if err != nil || b.version == "" || b.version == "(devel)" || b.time.IsZero() {
		return nil, errors.New("the binary does not know its commit: build it in a clone")
	}
	if modified {
		return nil, fmt.Errorf("%s has changes: commit them, or build in a clone without them", tree)
	}
	return b, nil
}

// goBuild has the go command build the program in tree. What the user's settings say
// beside is left out: it would change the bytes. An empty GOFLAGS would not leave out
// what go env -w has written.
func goBuild(tree, path string, p platform) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append(append([]string{"build"}, buildFlags[:]...), "-o", path, ".")...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOOS="+p.os, "GOARCH="+p.arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build for %v: %w\n%s", p, err, out)
	}
	return nil
}
