// Package project reads the files that say what to share and how: share.yaml of
// a project, which many may write, and the user's own config.yaml. What they say
// has the words of the flags.
package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml/ast"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// Name is what a project's file is called.
const Name = "share.yaml"

const (
	// maxFile bounds a file: as many tunnels as there may be, each with a page of
	// comments, stay below that.
	maxFile = 1 << 20

	// maxTunnels bounds the tunnels of a file. A relay gives an account no more
	// names than that.
	maxTunnels = 100
)

// A File is what a file says.
type File struct {
	Path     string    // as it was named
	Project  bool      // it is a project's, and not the user's own
	Defaults []Setting // for all tunnels that do not say otherwise
	Tunnels  []Tunnel  // in the order of the file; none in the user's
}

// A Tunnel is one of the tunnels of a file.
type Tunnel struct {
	Label    string // what the file calls it, a DNS label
	Settings []Setting
	at       place
}

// A Setting is what a file says for a key.
type Setting struct {
	Key   string
	Value string // as the flag called Key takes it
	at    place
}

// Origin is where the setting stands: file:line:column.
func (s Setting) Origin() string { return s.at.String() }

// Wrong returns an error that says why the setting cannot be.
func (s Setting) Wrong(hint string, why any) *cmdline.Error {
	return s.at.wrong(hint, "%s: %v", s.Key, why)
}

// Wrong returns an error that says why the tunnel cannot be.
func (t Tunnel) Wrong(hint string, why any) *cmdline.Error {
	return t.at.wrong(hint, "tunnel %s: %v", t.Label, why)
}

// Read reads the file at path, no more of it than shows that it is too large. Its
// error is an *fs.PathError.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	irregular := &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	if !info.Mode().IsRegular() { // to open a device may do something
		return nil, irregular
	}
	// Another may be in its place by now: without the flag, a pipe would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, irregular
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse reads text, a project's file called path, in which ${NAME} stands for
// what getenv has. The error is a *cmdline.Error that names the place.
func Parse(path string, text []byte, getenv func(string) string) (*File, error) {
	return parse(&File{Path: path, Project: true}, text, getenv)
}

// ParseUser reads text as Parse does, but as the user's own file: it has defaults
// alone, which may say more.
func ParseUser(path string, text []byte, getenv func(string) string) (*File, error) {
	return parse(&File{Path: path}, text, getenv)
}

func parse(f *File, text []byte, getenv func(string) string) (*File, error) {
	s := &source{path: f.Path, dir: filepath.Dir(f.Path), getenv: getenv}
	if len(text) > maxFile {
		return nil, cmdline.Unusable("name a file of tunnels", fmt.Errorf("%s has more than %d bytes", f.Path, maxFile))
	}
	s.text = strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n")
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	top := []string{"version", "defaults"}
	if f.Project {
		top = append(top, "tunnels")
	}
	entries, err := s.entries(root, "the file", top)
	if err != nil {
		return nil, err
	}
	version := false
	for _, e := range entries {
		switch e.key {
		case "version":
			version = true
			err = s.version(e)
		case "defaults":
			f.Defaults, err = s.settings(e.value, "defaults", allowed(f.Project, false))
		case "tunnels":
			f.Tunnels, err = s.tunnels(e)
		}
		if err != nil {
			return nil, err
		}
	}
	if !version {
		return nil, s.at(1, 1).wrong("write version: 1 on its first line", "the file does not say its version")
	}
	return f, nil
}

func (s *source) version(e entry) error {
	if n, ok := e.value.(*ast.IntegerNode); !ok || n.GetToken().Value != "1" {
		return s.where(e.value, e.at).wrong("write version: 1", "this program reads version 1 alone")
	}
	return nil
}

func (s *source) tunnels(e entry) (tunnels []Tunnel, err error) {
	entries, err := s.entries(e.value, "tunnels", nil)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		switch {
		case i == maxTunnels:
			return nil, e.at.wrong("part the file", "there are more than %d tunnels", maxTunnels)
		case !tunnel.ValidName(e.key):
			return nil, e.at.wrong("use at most 63 of a-z, 0-9 and -, with no - at either end", "tunnel %.100q is no DNS label", e.key)
		}
		t := Tunnel{Label: e.key, at: e.at}
		if _, short := e.value.(*ast.IntegerNode); short {
			return nil, s.where(e.value, e.at).wrong("write {target: "+e.value.GetToken().Value+"}", "tunnel %s is not a target alone, it has keys", t.Label)
		}
		if t.Settings, err = s.settings(e.value, "tunnel "+t.Label, allowed(true, true)); err != nil {
			return nil, err
		}
		if !has(t.Settings, "target") {
			return nil, t.Wrong("add target: and a port, host:port or URL", "it has no target")
		}
		tunnels = append(tunnels, t)
	}
	return tunnels, nil
}

func has(settings []Setting, key string) bool {
	for _, s := range settings {
		if s.Key == key {
			return true
		}
	}
	return false
}
