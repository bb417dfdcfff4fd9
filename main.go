// Share gives a program on a local port a URL that reaches it, through a relay
// that its user runs.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/http/httpproxy"

	"share/agent"
	"share/agent/target"
	"share/agent/terminal"
	"share/relay"
	"share/relay/admin"
	"share/tunnel"
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
		OnUsageError:    wrongUsage,
		// Errors are reported below, and not where cli meets them.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, c := range app.Commands {
		c.HideHelpCommand, c.OnUsageError = true, wrongUsage
	}
	args, err := terminal.Reorder(app.Commands, args)
	if err == nil {
		err = app.Run(args)
	}
	if shown, ok := errors.AsType[cli.ExitCoder](err); ok {
		return shown.ExitCode()
	}
	return terminal.Report(os.Stderr, err)
}

// usage is the error for what the user typed.
func usage(hint, format string, args ...any) *agent.Error {
	return &agent.Error{Code: agent.ExitUsage, Message: fmt.Sprintf(format, args...), Hint: hint}
}

func wrongUsage(c *cli.Context, err error, _ bool) error {
	return usage("see "+cmp.Or(c.Command.HelpName, c.App.Name)+" --help", "%v", err)
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usage("see share --help", "there is no command %q", name)
	}
	return cli.ShowAppHelp(c)
}

// noSubcommand is a command that only has others below it.
func noSubcommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usage("see "+c.Command.HelpName+" --help", "there is no command %q", name)
	}
	return cli.ShowSubcommandHelp(c)
}

// sharing is what the flags of share http say.
type sharing struct {
	agent       agent.Config
	view        terminal.Config
	style       tunnel.Style
	level       slog.Level
	json, quiet bool

	relay, relayCA, tokenFile, errorPages string
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
			terminal.Text("relay", "use the relay at `ADDR`: share.example.com, https://host:port or http://127.0.0.1:7070 (default: one in this process)", &s.relay),
			terminal.Text("relay-ca", "trust what the certificates in `FILE` signed, instead of the system's", &s.relayCA),
			terminal.Text("token-file", "read the token from `FILE`", &s.tokenFile),
			terminal.Toggle("insecure", "let the token travel in plain to a relay that is not on loopback", &s.agent.Insecure),
			terminal.Value("lanes", "hold at least `N` connections to the relay, 1 to 8 (default: 1; one more joins when large bodies fill them)", terminal.Number(&s.agent.Lanes, 1, 8)),
			terminal.Text("name", "ask for `NAME` (default: one that stays the same for this folder and target)", &s.agent.Name),
			terminal.Toggle("random", "ask for a new name each time", &s.agent.Random),
			terminal.Toggle("takeover", "take the name from another agent of the same account", &s.agent.Takeover),
			terminal.Value("wait", "give up when relay or target is not up after `TIME` (default: never)", terminal.Duration(&s.agent.Wait, 0)),
			terminal.Toggle("require-verified", "give up when no request comes back through the URL", &s.agent.RequireVerified),
			terminal.Value("hold", "let requests wait for `TIME` while nothing listens on the target (default: not at all)", terminal.Duration(&s.agent.Target.Hold, 0)),
			terminal.Value("connect-timeout", "bound a connect to the target by `TIME` (default: 5s)", terminal.Duration(&s.agent.Target.ConnectTimeout, 0)),
			terminal.Value("header-timeout", "bound the wait for the target's answer by `TIME` (default: 120s)", terminal.Duration(&s.agent.Target.HeaderTimeout, 0)),
			terminal.Text("host-header", "send `HOST`: keep for the visitor's, target for the target's own, or a host (default: keep)", &s.agent.Target.HostHeader),
			terminal.Toggle("insecure-target", "accept any certificate of the target", &s.agent.Target.Insecure),
			terminal.Value("errors", "name the target's address to visitors when it fails as `HOW`: full for always, brief for never (default: if it is on loopback)",
				terminal.Choice(&s.style.Reveal, map[string]tunnel.Reveal{"full": tunnel.RevealFull, "brief": tunnel.RevealBrief})),
			terminal.Text("error-pages", "show the pages in `DIR` when it fails: 502.html, 5xx.html, error.html", &s.errorPages),
			terminal.Value("grace", "let requests in flight end within `TIME` when stopped (default: 10s)", terminal.Duration(&s.agent.Grace, -1)),
			terminal.Toggle("json", "write events to stdout and logs to stderr as JSON", &s.json),
			terminal.Toggle("quiet", "write the URL to stdout, errors to stderr, and nothing else", &s.quiet),
			terminal.Text("url-file", "keep the URL in `FILE` while the tunnel is ready", &s.view.URLFile),
			terminal.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", terminal.Level(&s.level)),
		},
	}
}

// share shares a target until a signal, and shows how that goes.
func (s *sharing) share(c *cli.Context) error {
	switch {
	case c.NArg() == 0:
		return usage("write share http 8080", "no target is named")
	case c.NArg() > 1:
		return usage("share one target", "there is more than one target: %q", c.Args().Slice())
	case s.json && s.quiet:
		return usage("leave one of them away", "--json and --quiet are both asked for")
	case s.json:
		s.view.Mode = terminal.JSON
	case s.quiet:
		s.view.Mode = terminal.Quiet
	}
	addr, err := target.Parse(c.Args().First())
	if err != nil {
		return usage("", "%v", err)
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
	if s.relay == "" {
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

// load reads what the flags name: the relay, and files.
func (s *sharing) load() (err error) {
	cfg := &s.agent
	if s.relay != "" {
		if cfg.Relay, err = agent.ParseRelay(s.relay, cfg.Insecure); err != nil {
			return err
		}
		if cfg.Token = envToken(s.tokenFile); cfg.Token == "" && s.tokenFile != "" {
			if cfg.Token, err = agent.LoadToken(s.tokenFile); err != nil {
				return err
			}
		}
	}
	if s.relayCA != "" {
		if cfg.RelayCA, err = agent.LoadRoots(s.relayCA); err != nil {
			return err
		}
	}
	if s.errorPages != "" {
		if s.style.Pages, err = tunnel.ParsePages(os.DirFS(s.errorPages)); err != nil {
			return agent.Unusable("mend the page in "+s.errorPages, err)
		}
	}
	if s.view.URLFile != "" {
		if err := terminal.ClearURL(s.view.URLFile); err != nil {
			return agent.Unusable("--url-file wants a file in a folder that can be written to", err)
		}
	}
	cfg.Target.Style = &s.style
	cfg.Proxy = httpproxy.FromEnvironment().ProxyFunc()
	cfg.StateDir = stateDir()
	cfg.Folder, _ = os.Getwd() // without one, the target alone makes the name
	cfg.Version, _ = build()
	return nil
}

// relaying is what the flags of share relay say.
type relaying struct {
	relay     relay.Config
	addresses relay.Addresses
	level     slog.Level
	json      bool

	cert, key, tokenFile, data string
}

func relayCommand() *cli.Command {
	r := &relaying{}
	return &cli.Command{
		Name:  "relay",
		Usage: "run a relay",
		Description: "Without an address, the relay listens on http://127.0.0.1:7070. Beyond loopback it wants certificates for\n" +
			"what agents connect to, and tokens: it keeps them in --data, and makes the first one itself.",
		Action:      r.run,
		Subcommands: operatorCommands(),
		Flags: []cli.Flag{
			terminal.Text("http", "take visitors, and agents, in plain HTTP at `ADDR`", &r.addresses.HTTP),
			terminal.Text("https", "take visitors and agents over TLS at `ADDR`", &r.addresses.HTTPS),
			terminal.Text("redirect", "send visitors who come in plain HTTP to `ADDR` to the https URL; agents are not let in", &r.addresses.Redirect),
			terminal.Text("tls-cert", "show the certificates in `FILE`, PEM; it is read again when it changes", &r.cert),
			terminal.Text("tls-key", "the certificate's key is in `FILE`, PEM", &r.key),
			terminal.Text("agents", "take agents alone at `ADDR`", &r.addresses.Agents),
			terminal.Text("domain", "give tunnels the names below `DOMAIN` (default: localhost)", &r.relay.Domain),
			terminal.Value("public-url", "visitors come to `URL`, through a front", terminal.URL(&r.relay.PublicURL)),
			terminal.Text("data", "keep tokens and names in the folder `DIR` (default: in the user's state folder, where others than this machine reach the relay)", &r.data),
			terminal.Text("token-file", "let agents in that have a token of `FILE`: a label and a token in each line", &r.tokenFile),
			terminal.Toggle("insecure", "let tokens travel in plain beyond loopback", &r.relay.Insecure),
			terminal.Value("trusted-proxies", "believe the forwarding fields of peers in `CIDR,...`", terminal.Prefixes(&r.relay.TrustedProxies)),
			terminal.Value("proxy-protocol", "take the visitor's address from the PROXY protocol header, v1 or v2, that peers in `CIDR,...` must send first, at all addresses but that of --agents", terminal.Prefixes(&r.addresses.Fronts)),
			terminal.Value("grace", "let requests in flight end within `TIME` when stopped (default: 30s)", terminal.Duration(&r.relay.Grace, -1)),
			terminal.Value("log-format", "log as `FORMAT`: text or json (default: text)", terminal.Choice(&r.json, map[string]bool{"text": false, "json": true})),
			terminal.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", terminal.Level(&r.level)),
		},
	}
}

// run serves a relay until a signal.
func (r *relaying) run(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("addresses are flags, as in --http 127.0.0.1:7070", "relay takes no argument, and not %q", c.Args().First())
	}
	if err := r.load(); err != nil {
		return err
	}
	data, err := r.openData()
	if err != nil {
		return err
	}
	if data != nil {
		defer data.Close()
	}
	rel, err := relay.New(r.relay)
	if err != nil {
		return usage("", "%v", err)
	}
	doors, err := r.addresses.Listen()
	if err != nil {
		return &agent.Error{Code: 1, Message: err.Error(), Hint: "stop what listens there, or choose another address", Err: err}
	}
	ctx, stop := untilSignal(rel.Cut)
	defer stop()
	if data != nil && r.relay.Tokens.Empty() {
		err = data.Accounts.First(ctx, func(secret string) error { return welcome(c.App.Writer, secret, rel.AgentAddress(doors)) })
	}
	if err != nil {
		for _, d := range doors {
			d.Close()
		}
		return fmt.Errorf("first token: %w", err)
	}
	return rel.Serve(ctx, doors...)
}

// openData opens the relay's data folder, if it has one, and gives the relay
// what is in it.
func (r *relaying) openData() (*relay.Data, error) {
	if r.data == "" {
		if !r.addresses.Beyond() {
			return nil, nil
		}
		if r.data = relayDir(); r.data == "" {
			if !r.relay.Tokens.Empty() {
				return nil, nil
			}
			return nil, usage("name a folder with --data", "there is no state folder for tokens")
		}
	}
	data, err := relay.OpenData(r.data)
	if errors.Is(err, relay.ErrInUse) {
		return nil, &agent.Error{Code: 1, Message: err.Error(), Hint: "stop that relay, or name another folder with --data", Err: err}
	}
	if err != nil {
		return nil, agent.Unusable("--data wants a folder of the relay's own", err)
	}
	r.relay.Accounts, r.relay.Admin = data.Accounts, data.Admin
	return data, nil
}

// welcome tells the operator of a new relay how to let the first agent in.
func welcome(w io.Writer, secret, address string) error {
	note := ""
	switch {
	case address == "":
		address, note = "RELAY", " (RELAY is how this relay is reached from there)"
	case strings.HasPrefix(address, "http:"):
		address += " --insecure"
	}
	_, err := fmt.Fprintf(w, "This relay is new. Its first token, which is shown this once:\n\n    %s\n\n"+
		"Where a program is to be shared%s:\n\n    SHARE_TOKEN=%s share http 8080 --relay %s\n\n", secret, note, secret, address)
	return err
}

// load reads what the flags name, and checks that it goes together.
func (r *relaying) load() (err error) {
	cfg := &r.relay
	if token := envToken(r.tokenFile); token != "" {
		if err := cfg.Tokens.Add("default", token); err != nil {
			return usage("", "SHARE_TOKEN: %v", err)
		}
	} else if r.tokenFile != "" {
		f, err := os.Open(r.tokenFile)
		if err != nil {
			return agent.Unusable("--token-file wants a file with a label and a token in each line", err)
		}
		defer f.Close()
		if cfg.Tokens, err = relay.ParseTokens(f); err != nil {
			return agent.Unusable("", fmt.Errorf("%s: %w", r.tokenFile, err))
		}
	}
	if (r.cert == "") != (r.key == "") {
		return usage("add the other", "--tls-cert and --tls-key go together")
	}
	if r.cert != "" {
		if r.addresses.Certificate, err = relay.LoadCertificate(r.cert, r.key); err != nil {
			return agent.Unusable("--tls-cert and --tls-key want a certificate and its key in PEM", err)
		}
	}
	if err := r.addresses.Check(cfg); err != nil {
		return usage("", "%v", err)
	}
	cfg.Version, _ = build()
	options := &slog.HandlerOptions{Level: r.level}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, options))
	if r.json {
		cfg.Logger = slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return nil
}

// An operator is what the flags of the commands say that look after a relay.
type operator struct {
	data string
	json bool

	token   admin.NewToken
	expires time.Duration
	label   string
}

// operatorCommands are those below share relay. Each is given to the relay that
// runs with the same data folder, over its socket.
func operatorCommands() []*cli.Command {
	o := &operator{}
	group := func(name, usage string, commands ...*cli.Command) *cli.Command {
		for _, c := range commands {
			c.HideHelpCommand, c.OnUsageError = true, wrongUsage
			c.Flags = append(c.Flags, terminal.Toggle("json", "write what the relay answers as JSON", &o.json))
			terminal.Unset(c.Flags) // the environment is for what lasts
			c.Flags = append(c.Flags, terminal.Text("data", "the relay's data folder is `DIR` (default: that of a relay that names none)", &o.data))
		}
		return &cli.Command{Name: name, Usage: usage, Subcommands: commands, Action: noSubcommand, HideHelpCommand: true, OnUsageError: wrongUsage}
	}
	label := terminal.Text("label", "the account is called `LABEL`", &o.label)
	return []*cli.Command{
		group("token", "make and revoke the tokens that let agents in",
			&cli.Command{Name: "create", Usage: "make a token for an account, and show it once", Flags: []cli.Flag{label,
				terminal.Value("names", "the token is good for names like `PATTERN,...`, such as pr-* (default: all)", terminal.List(&o.token.Names)),
				terminal.Value("expires", "the token ends after `TIME`, such as 90d (default: never)", terminal.Days(&o.expires)),
				terminal.Value("max-tunnels", "at most `N` tunnels are open with the token (default: as many as the account may have names)", terminal.Number(&o.token.MaxTunnels, 1, 1_000_000)),
			}, Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
				o.token.Account, o.token.Seconds = o.label, int64((o.expires+time.Second-1)/time.Second)
				return k.CreateToken(ctx, o.token)
			})},
			&cli.Command{Name: "ls", Usage: "list the tokens, not their secrets", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
				return k.ListTokens(ctx)
			})},
			&cli.Command{Name: "revoke", Usage: "revoke a token: its agents are gone within seconds", ArgsUsage: "ID", Action: o.action("ID", func(ctx context.Context, k *admin.Console, id string) error {
				return k.RevokeToken(ctx, id)
			})}),
		group("name", "say whose names are",
			&cli.Command{Name: "reserve", Usage: "keep a name for an account for ever", ArgsUsage: "NAME", Flags: []cli.Flag{label}, Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
				return k.ReserveName(ctx, name, o.label)
			})},
			&cli.Command{Name: "ls", Usage: "list the names that have an owner", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
				return k.ListNames(ctx)
			})},
			&cli.Command{Name: "release", Usage: "take a name from its account", ArgsUsage: "NAME", Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
				return k.ReleaseName(ctx, name)
			})}),
		group("tunnel", "see and end the tunnels that are open",
			&cli.Command{Name: "ls", Usage: "list the tunnels", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
				return k.ListTunnels(ctx)
			})},
			&cli.Command{Name: "kick", Usage: "end a tunnel: its agent stops", ArgsUsage: "NAME", Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
				return k.KickTunnel(ctx, name)
			})}),
	}
}

// action is a command that do carries out. want is what its only argument is
// called, empty if it takes none.
func (o *operator) action(want string, do func(ctx context.Context, k *admin.Console, arg string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		switch {
		case want == "" && c.NArg() > 0:
			return usage("", "%s takes no argument, and not %q", c.Command.Name, c.Args().First())
		case want != "" && c.NArg() != 1:
			return usage("", "%s takes one argument, %s", c.Command.Name, want)
		}
		if o.data == "" {
			if o.data = relayDir(); o.data == "" {
				return usage("name the relay's folder with --data", "there is no state folder")
			}
		}
		k := &admin.Console{Client: admin.NewClient(relay.SocketPath(o.data)), Out: c.App.Writer, Notes: c.App.ErrWriter, JSON: o.json}
		err := do(c.Context, k, c.Args().First())
		if refused, ok := errors.AsType[*admin.RefusedError](err); ok {
			switch {
			case refused.Invalid():
				return usage("", "%v", err)
			case refused.Broken():
				return err
			}
			return &agent.Error{Code: agent.ExitRefused, Message: "relay refused: " + err.Error(), Err: err}
		}
		if errors.Is(err, fs.ErrPermission) {
			return &agent.Error{Code: 1, Message: err.Error(), Hint: "run this as the relay's user", Err: err}
		}
		if errors.Is(err, admin.ErrNoRelay) {
			return &agent.Error{Code: agent.ExitUnreached, Message: "no relay runs with the data folder " + o.data,
				Hint: "start share relay with it, or name another with --data", Err: err}
		}
		return err
	}
}

// envToken is SHARE_TOKEN, unless a flag names a file: flags go before the
// environment, and that token before a file that the environment names.
func envToken(file string) string {
	if file != os.Getenv(terminal.Variable("token-file")) {
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

// relayDir is the data folder of a relay that names none, empty if there is
// no place for one.
func relayDir() string {
	if dir := stateDir(); dir != "" {
		return filepath.Join(dir, "relay")
	}
	return ""
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

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "show version, commit, Go and protocol",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("", "version takes no argument")
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
