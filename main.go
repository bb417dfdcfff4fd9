// Share gives a program on a local port a URL that reaches it, through a relay
// that its user runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/term"

	agentcommand "share/agent/command"
	"share/relay"
	relaycommand "share/relay/command"
	"share/tunnel"
	"share/tunnel/cmdline"
	"share/tunnel/manual"
	"share/tunnel/procs"
)

func main() {
	// By itself a crash ends with 2, which would pass for wrong usage: what restarts
	// the program is to see a signal.
	debug.SetTraceback("crash")
	// net/http writes there what it finds odd in a target's HTTP/2, in lines of no
	// form that a view has. What matters of it comes as an error as well.
	log.SetOutput(io.Discard)
	procs.Follow(context.Background())
	os.Exit(run(os.Args))
}

// run runs the command line args and returns the exit code. An error is
// reported once, on one line.
func run(args []string) int {
	app := &cli.App{
		Name:  "share",
		Usage: "give a local port a URL",
		UsageText: "share http 8080\tshare what listens on port 8080\n" +
			"share http 3000 -- npm run dev\tstart it, too: it finds its URL in SHARE_URL\n" +
			"share http 8080 --relay share.example.com\tthrough a relay that all can reach\n" +
			"share ls\tlist what is shared\n" +
			"share relay --domain share.example.com --email ops@example.com --dns :53\trun a relay for everybody",
		Flags:           []cli.Flag{cli.HelpFlag},
		HideVersion:     true,
		HideHelpCommand: true,
		Commands:        commands(),
		Action:          noCommand,
		OnUsageError:    cmdline.WrongUsage,
		// Errors are reported below, and not where cli meets them.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	cli.HelpPrinter = manual.Print
	cmdline.Prepare(app.Commands)
	args, err := cmdline.Reorder(app.Commands, args)
	if err == nil {
		err = app.Run(args)
	}
	if shown, ok := errors.AsType[cli.ExitCoder](err); ok {
		return shown.ExitCode()
	}
	return agentcommand.Report(os.Getenv, os.Stderr, err)
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return cmdline.NoCommand(name, c.App.Commands, "share --help")
	}
	return cli.ShowAppHelp(c)
}

// commands are all commands, with what they are to know of this process.
func commands() []*cli.Command {
	version, _ := build()
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	signals := make(stopSignals, 2)
	sharing := agentcommand.Commands(agentcommand.Process{
		Version:     version,
		StateDir:    stateDir(),
		ConfigDir:   configDir(),
		RuntimeDir:  os.Getenv("XDG_RUNTIME_DIR"),
		TempDir:     os.TempDir(),
		Args:        os.Args[1:],
		Again:       program,
		Getenv:      os.Getenv,
		Environ:     os.Environ,
		Stdin:       os.Stdin,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
		Proxy:       proxy,
		Token:       envToken,
		UntilSignal: signals.untilStop,
		Reloading:   signals.untilStopOrReload,
		Interrupt:   signals.interrupt,
		Inside: func(addresses []netip.Addr, avoid ...int) (agentcommand.Inside, error) {
			return relay.NewLocal(version, addresses, avoid...)
		},
	})
	all := append(sharing, relaycommand.Relay(relaycommand.Process{
		Version:     version,
		StateDir:    stateDir(),
		Proxy:       proxy,
		Token:       envToken,
		AdminToken:  os.Getenv("SHARE_ADMIN_TOKEN"),
		UntilSignal: func(cut func()) (context.Context, func()) { return signals.until(cut) },
		Again:       again,
		Log:         os.Stderr,
		Stdout:      os.Stdout,
	}))
	return append(append(all, manual.Commands(version)...), versionCommand())
}

// envToken is SHARE_TOKEN, unless a flag names a file: flags go before the
// environment, and that token before a file that the environment names.
func envToken(file string) string {
	if file != os.Getenv(cmdline.Variable("token-file")) {
		return ""
	}
	return os.Getenv("SHARE_TOKEN")
}

// stateDir is the folder for what outlives a process, empty if there is none.
func stateDir() string {
	return folder("SHARE_STATE_DIR", "XDG_STATE_HOME", filepath.Join(".local", "state"))
}

// configDir is the folder for what the user has set, likewise.
func configDir() string { return folder("SHARE_CONFIG_DIR", "XDG_CONFIG_HOME", ".config") }

// folder is what the variable own has, or else the program's own below that of all
// programs: the variable all, or usual in the user's home.
func folder(own, all, usual string) string {
	base := os.Getenv(all)
	if home, err := os.UserHomeDir(); base == "" && err == nil {
		base = filepath.Join(home, usual)
	}
	if dir := os.Getenv(own); dir != "" || base == "" {
		return dir
	}
	return filepath.Join(base, "share")
}

// again returns a command that runs the program once more, as it was started.
func again(more ...string) *exec.Cmd {
	cmd := program(append(slices.Clone(os.Args[1:]), more...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// program returns a command that runs the program with args: whatever stands at its
// path by now.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// It is for this process that systemd has set this.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WATCHDOG_PID=") })
	return cmd
}

// stopSignals are those that came and were not heeded yet, two at most.
type stopSignals chan os.Signal

// interrupt is a SIGINT that does not come from the system.
func (s stopSignals) interrupt() {
	select {
	case s <- os.Interrupt:
	default:
	}
}

// until returns a context that the first SIGINT or SIGTERM ends, or one of more,
// with a cmdline.Interrupt as its cause; another calls cut. stop gives the signals
// back.
func (s stopSignals) until(cut func(), more ...os.Signal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := make(chan struct{})
	signal.Notify(s, append(more, os.Interrupt, syscall.SIGTERM)...)
	go func() { // ends with stop
		for {
			select {
			case sig := <-s:
				if ctx.Err() == nil {
					cancel(cmdline.Interrupt{Signal: sig.(syscall.Signal)})
				} else {
					cut()
				}
			case <-stopped:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(s)
		close(stopped)
		cancel(nil)
	}
}

// untilStop is until for an agent, which ends with its terminal, too, unless it was
// started not to (nohup(1)), and by SIGQUIT, which would leave behind what runs beside
// it.
func (s stopSignals) untilStop(cut func()) (_ context.Context, stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return s.until(cut, syscall.SIGQUIT)
	}
	return s.until(cut, syscall.SIGQUIT, syscall.SIGHUP)
}

// untilStopOrReload is untilStop for an agent that SIGHUP has read its file anew. If
// it has a terminal, and is not detached from that, it gets the signal at its end.
func (s stopSignals) untilStopOrReload(detached bool, cut, reload func()) (_ context.Context, stop func()) {
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if !detached && term.IsTerminal(int(f.Fd())) {
			return s.untilStop(cut)
		}
	}
	ctx, stopUntil := s.until(cut, syscall.SIGQUIT)
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() { // stop waits for it
		defer close(ended)
		for range hangups {
			reload()
		}
	}()
	return ctx, func() {
		stopUntil()
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:     "version",
		Usage:    "show version, commit, Go and protocol",
		Category: manual.Category,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("", "version takes no argument")
			}
			version, commit := build()
			_, err := fmt.Fprintf(c.App.Writer, "share %s\ncommit %s\ngo %s %s/%s\nprotocol share/%d\n",
				version, commit, strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH, tunnel.Version)
			return err
		},
	}
}

// build gives what the binary was built from.
func build() (version, commit string) {
	version, commit = "devel", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, commit
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return version, commit
}
