// Package command is share relay and the commands below it: it makes a
// configuration of what the user typed.
package command

import (
	"context"
	"io"
	"net/url"
	"os/exec"
	"path/filepath"
)

// A Process is what the commands are told of the one that runs them.
type Process struct {
	Version  string    // of the program
	StateDir string    // for what outlives a process, empty if there is none
	Log      io.Writer // where a relay logs
	Stdout   io.Writer // the process's standard output

	// AdminToken is what an operator shows to a relay elsewhere, empty if the
	// environment has none.
	AdminToken string

	// Proxy returns the proxy for a URL, nil for none. If nil, there is none.
	Proxy func(*url.URL) (*url.URL, error)

	// Token is the token that the environment has, if that goes before file.
	Token func(file string) string

	// UntilSignal returns a context that the first signal to stop ends;
	// another calls cut. stop gives the signals back.
	UntilSignal func(cut func()) (_ context.Context, stop func())

	// Again returns a command that runs the program once more: as it was
	// started, from where it is now, with more arguments.
	Again func(more ...string) *exec.Cmd
}

// dataDir is the data folder of a relay that names none, empty if there is no
// place for one.
func (p *Process) dataDir() string {
	if p.StateDir == "" {
		return ""
	}
	return filepath.Join(p.StateDir, "relay")
}
