// Share gives a program on a local port a URL that reaches it, through a relay
// that its user runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/http/httpproxy"

	"share/agent"
	"share/agent/target"
	"share/agent/terminal"
	"share/relay"
	"share/relay/command"
	"share/tunnel"
	"share/tunnel/cmdline"
	"share/tunnel/procs"
)

func main() {
	procs.Follow(context.Background())
	os.Exit(run(os.Args))
}

// run runs the command line args and returns the exit code. An error is
// reported once, on one line.
func run(args []string) int {
	app := &cli.App{
		Name:            "share",
		Usage:           "give a local port a URL",
		HideVersion:     true,
		HideHelpCommand: true,
		Commands:        []*cli.Command{httpCommand(), relayCommand(), versionCommand()},
		Action:          noCommand,
		OnUsageError:    cmdline.WrongUsage,
		// Errors are reported below, and not where cli meets them.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	cmdline.Prepare(app.Commands)
	args, err := cmdline.Reorder(app.Commands, args)
	if err == nil {
		err = app.Run(args)
	}
	if shown, ok := errors.AsType[cli.ExitCoder](err); ok {
		return shown.ExitCode()
	}
	return terminal.Report(os.Stderr, err)
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return cmdline.Usage("see share --help", "there is no command %q", name)
	}
	return cli.ShowAppHelp(c)
}

// sharing is what the flags of share http say.
type sharing struct {
	agent       agent.Config
	view        terminal.Config
	style       tunnel.Style
	level       slog.Level
	json, quiet bool

	relays                         []string
	relayCA, tokenFile, errorPages string
}

func httpCommand() *cli.Command {
	s := &sharing{}
	return &cli.Command{
		Name:      "http",
		Usage:     "share a web target",
		ArgsUsage: "TARGET",
		Description: "TARGET is a port of this machine (8080), host:port, http://, https://, h2c:// or h2://host:port, or unix:/path.\n" +
			"Flags may stand before or after it. A relay elsewhere wants a token, from SHARE_TOKEN or --token-file.",
		Action: s.share,
		Flags: []cli.Flag{
			cmdline.Texts("relay", "use the relay at `ADDR`: share.example.com, https://host:port or http://127.0.0.1:7070; several, if it is given again (default: one in this process)", &s.relays),
			cmdline.Text("relay-ca", "trust what the certificates in `FILE` signed, instead of the system's", &s.relayCA),
			cmdline.Text("token-file", "read the token from `FILE`", &s.tokenFile),
			cmdline.Toggle("insecure", "let the token travel in plain to a relay that is not on loopback", &s.agent.Insecure),
			cmdline.Value("lanes", "hold at least `N` connections to the relay, 1 to 8 (default: 1; one more joins when large bodies fill them)", cmdline.Number(&s.agent.Lanes, 1, 8)),
			cmdline.Text("name", "ask for `NAME` (default: one that stays the same for this folder and target)", &s.agent.Name),
			cmdline.Text("domain", "ask for the name that `DOMAIN` leads to, a domain of the account's own that the relay knows, and show its URL", &s.agent.Domain),
			cmdline.Toggle("random", "ask for a new name each time", &s.agent.Random),
			cmdline.Toggle("takeover", "take the name from another agent of the same account", &s.agent.Takeover),
			cmdline.Value("wait", "give up when relay or target is not up after `TIME` (default: never)", cmdline.Duration(&s.agent.Wait, 0)),
			cmdline.Toggle("require-verified", "give up when no request comes back through the URL", &s.agent.RequireVerified),
			cmdline.Value("hold", "let requests wait for `TIME` while nothing listens on the target (default: not at all)", cmdline.Duration(&s.agent.Target.Hold, 0)),
			cmdline.Value("connect-timeout", "bound a connect to the target by `TIME` (default: 5s)", cmdline.Duration(&s.agent.Target.ConnectTimeout, 0)),
			cmdline.Value("header-timeout", "bound the wait for the target's answer by `TIME` (default: 120s)", cmdline.Duration(&s.agent.Target.HeaderTimeout, 0)),
			cmdline.Text("host-header", "send `HOST`: keep for the visitor's, target for the target's own, or a host (default: keep)", &s.agent.Target.HostHeader),
			cmdline.Toggle("insecure-target", "accept any certificate of the target", &s.agent.Target.Insecure),
			cmdline.Value("errors", "name the target's address to visitors when it fails as `HOW`: full for always, brief for never (default: if it is on loopback)",
				cmdline.Choice(&s.style.Reveal, map[string]tunnel.Reveal{"full": tunnel.RevealFull, "brief": tunnel.RevealBrief})),
			cmdline.Text("error-pages", "show the pages in `DIR` when it fails: 502.html, 5xx.html, error.html", &s.errorPages),
			cmdline.Value("grace", "let requests in flight end within `TIME` when stopped (default: 10s)", cmdline.Duration(&s.agent.Grace, -1)),
			cmdline.Toggle("json", "write events to stdout and logs to stderr as JSON", &s.json),
			cmdline.Toggle("quiet", "write the URL to stdout, errors to stderr, and nothing else", &s.quiet),
			cmdline.Text("url-file", "keep the URL in `FILE` while the tunnel is ready", &s.view.URLFile),
			cmdline.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", cmdline.Level(&s.level)),
		},
	}
}

// share shares a target until a signal, and shows how that goes.
func (s *sharing) share(c *cli.Context) error {
	switch {
	case c.NArg() == 0:
		return cmdline.Usage("write share http 8080", "no target is named")
	case c.NArg() > 1:
		return cmdline.Usage("share one target", "there is more than one target: %q", c.Args().Slice())
	case s.json && s.quiet:
		return cmdline.Usage("leave one of them away", "--json and --quiet are both asked for")
	case s.json:
		s.view.Mode = terminal.JSON
	case s.quiet:
		s.view.Mode = terminal.Quiet
	}
	addr, err := target.Parse(c.Args().First())
	if err != nil {
		return cmdline.Usage("", "%v", err)
	}
	s.agent.Target.Address, s.view.Target = addr, addr.String()
	s.view.Level, s.view.ASCII = s.level, os.Getenv("TERM") == "dumb"
	view := terminal.Start(terminal.Suit(s.view, os.Stdout, os.Stderr))
	code, reason, err := s.serve(view)
	return cli.Exit("", view.Close(code, reason, err))
}

// serve shares the target until a signal, and gives the exit code and the name
// of that.
func (s *sharing) serve(view *terminal.View) (code int, reason string, err error) {
	if err := s.load(); err != nil {
		return 0, "", err
	}
	var ready atomic.Bool
	s.agent.OnEvent = func(e agent.Event) {
		if e.Kind == agent.EventReady {
			ready.Store(true)
		}
		view.Show(e)
	}
	var local *relay.Local
	if len(s.relays) == 0 {
		if local, err = relay.NewLocal(s.agent.Target.Address.Port, s.agent.Version); err != nil {
			return 0, "", err
		}
		defer local.Close()
		s.agent.Dial = local.Dial
		s.agent.Notice = local.Note()
	}
	a, err := agent.New(s.agent)
	if err != nil {
		return 0, "", err
	}
	run, cut := a.Run, a.Cut
	if local != nil {
		run = func(ctx context.Context) error { return local.Serve(ctx, a.Run) }
		cut = func() { a.Cut(); local.Cut() }
	}
	ctx, stop := untilSignal(cut)
	defer stop()
	if err := run(ctx); err != nil {
		return 0, "", err
	}
	sig, _ := errors.AsType[interrupt](context.Cause(ctx))
	if !ready.Load() {
		code = 128 + int(sig.Signal) // as of a process that the signal ended
	}
	return code, sig.String(), nil
}

// load reads what the flags name: relays, and files.
func (s *sharing) load() (err error) {
	cfg := &s.agent
	cfg.Domain = strings.ToLower(strings.TrimSuffix(cfg.Domain, "."))
	far := false // a relay is not on this machine
	for i, relay := range s.relays {
		u, err := agent.ParseRelay(relay, cfg.Insecure)
		if err != nil {
			return err
		}
		far = far || !u.Loopback()
		if i == 0 {
			cfg.Relay = u
		} else {
			cfg.Others = append(cfg.Others, u)
		}
	}
	if len(s.relays) > 0 {
		if cfg.Token = envToken(s.tokenFile); cfg.Token == "" && s.tokenFile != "" {
			if cfg.Token, err = agent.LoadToken(s.tokenFile); err != nil {
				return err
			}
		}
	}
	if cfg.Token == "" && far {
		cfg.Identity = agent.FindIdentity(os.Getenv)
		if cfg.Identity == nil && os.Getenv("GITHUB_ACTIONS") == "true" {
			return cmdline.Usage("put a token into SHARE_TOKEN, or give the job the permission id-token: write and have the relay trust it",
				"relay %s wants a token, and the job has no identity", cfg.Relay)
		}
	}
	if s.relayCA != "" {
		if cfg.RelayCA, err = cmdline.LoadRoots(s.relayCA); err != nil {
			return err
		}
	}
	if s.errorPages != "" {
		if s.style.Pages, err = tunnel.ParsePages(os.DirFS(s.errorPages)); err != nil {
			return cmdline.Unusable("mend the page in "+s.errorPages, err)
		}
	}
	if s.view.URLFile != "" {
		if err := terminal.ClearURL(s.view.URLFile); err != nil {
			return cmdline.Unusable("--url-file wants a file in a folder that can be written to", err)
		}
	}
	cfg.Target.Style = &s.style
	cfg.Proxy = httpproxy.FromEnvironment().ProxyFunc()
	cfg.StateDir = stateDir()
	cfg.Folder, _ = os.Getwd() // without one, the target alone makes the name
	cfg.Version, _ = build()
	return nil
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
	state := os.Getenv("XDG_STATE_HOME")
	if home, err := os.UserHomeDir(); state == "" && err == nil {
		state = filepath.Join(home, ".local", "state")
	}
	if dir := os.Getenv("SHARE_STATE_DIR"); dir != "" || state == "" {
		return dir
	}
	return filepath.Join(state, "share")
}

// again returns a command that runs the program once more, as it was started:
// whatever stands at its path by now.
func again(more ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append(slices.Clone(os.Args[1:]), more...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// It is for this process that systemd has set this.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WATCHDOG_PID=") })
	return cmd
}

// An interrupt is a signal that asks the program to stop.
type interrupt struct{ syscall.Signal }

func (s interrupt) Error() string { return s.String() }

// untilSignal returns a context that the first SIGINT or SIGTERM ends, as its
// cause; another calls cut. stop gives the signals back.
func untilSignal(cut func()) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with stop
		for sig := range signals {
			if ctx.Err() == nil {
				cancel(interrupt{sig.(syscall.Signal)})
			} else {
				cut()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// relayCommand is share relay, with what it is to know of this process.
func relayCommand() *cli.Command {
	version, _ := build()
	return command.Relay(command.Process{
		Version:     version,
		StateDir:    stateDir(),
		Proxy:       httpproxy.FromEnvironment().ProxyFunc(),
		Token:       envToken,
		AdminToken:  os.Getenv("SHARE_ADMIN_TOKEN"),
		UntilSignal: untilSignal,
		Again:       again,
		Log:         os.Stderr,
		Stdout:      os.Stdout,
	})
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "show version, commit, Go and protocol",
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
