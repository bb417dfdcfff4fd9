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

// build builds the program in tree for p, in the folder work.
func build(tree, work string, p platform) (*binary, error) {
	path := filepath.Join(work, p.file())
	if err := goBuild(tree, path, p.os, p.arch); err != nil {
		return nil, err
	}
	b := &binary{platform: p}
	var err error
	if b.program, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	if b.info, err = buildinfo.ReadFile(path); err != nil {
		return nil, err
	}
	b.version = strings.TrimPrefix(b.info.Main.Version, "v")
	for _, s := range b.info.Settings {
		if s.Key == "vcs.time" {
			b.time, err = time.Parse(time.RFC3339, s.Value)
		}
	}
	if err != nil || b.version == "(devel)" || b.time.IsZero() {
		return nil, errors.New("the binary does not know its commit: build it in a clone")
	}
	return b, nil
}

// goBuild has the go command build the program in tree, for what runs this if os is
// empty. What the environment says beside is left out: it would change the bytes.
func goBuild(tree, path, os_, arch string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append(append([]string{"build"}, buildFlags[:]...), "-o", path, ".")...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+os_, "GOARCH="+arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build for %s/%s: %w\n%s", os_, arch, err, out)
	}
	return nil
}
