// Package command is the commands of those who share: it makes a configuration
// of what the user typed, and runs an agent by it.
package command

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"slices"

	"github.com/urfave/cli/v2"
)

// A Process is what the commands are told of the one that runs them.
type Process struct {
	Version    string              // of the program
	StateDir   string              // for what outlives a process, empty if there is none
	ConfigDir  string              // for what the user has set, likewise
	RuntimeDir string              // for what ends with the user's session, likewise
	TempDir    string              // for what is temporary
	Getenv     func(string) string // its environment
	Environ    func() []string     // all of that

	Stdin, Stdout, Stderr *os.File

	// Args is the command line, without the program.
	Args []string

	// Again returns a command that runs the program with other arguments, from where
	// it is now.
	Again func(args ...string) *exec.Cmd

	// Proxy returns the proxy for a URL, nil for none.
	Proxy func(*url.URL) (*url.URL, error)

	// Token is the token that the environment has, if that goes before file.
	Token func(file string) string

	// UntilSignal returns a context that the first signal to stop ends, with a
	// cmdline.Interrupt as its cause; another calls cut. stop gives the signals
	// back.
	UntilSignal func(cut func()) (_ context.Context, stop func())

	// Interrupt does what a SIGINT would: a key of the terminal's asks for it.
	Interrupt func()

	// Reloading is UntilSignal for what reads its file anew at SIGHUP, which
	// calls reload. A process that has a terminal ends with it nevertheless, unless it
	// is detached.
	Reloading func(detached bool, cut, reload func()) (_ context.Context, stop func())

	// Inside makes a relay in this process, on loopback and at addresses, which does
	// not take the ports avoid.
	Inside func(addresses []netip.Addr, avoid ...int) (Inside, error)
}

// An Inside is a relay in this process, for its agents. The agent knows no
// relay's code, so main brings it.
type Inside interface {
	// Dial connects an agent while Serve runs.
	Dial(context.Context) (net.Conn, error)

	// Notes are what the user has to know of the relay, a line each.
	Notes() []string

	// Serve serves while agent runs, and returns its error or else its own.
	Serve(ctx context.Context, agent func(context.Context) error) error

	// Cut ends Serve without grace.
	Cut()

	// Close is for one that does not come to Serve.
	Close() error
}

// Commands returns them all.
func Commands(p Process) []*cli.Command {
	return slices.Concat(
		under("share a target", httpCommand(p), upCommand(p), configCommand(p)),
		under("see what is shared", askingCommands(p)...),
		under("set up this machine", loginCommand(p), logoutCommand(p), whoamiCommand(p), doctorCommand(p), serviceCommand(p)))
}

// under puts commands into a category of help's.
func under(category string, commands ...*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.Category = category
	}
	return commands
}
