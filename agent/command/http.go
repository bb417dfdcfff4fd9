package command

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/project"
	"share/agent/target"
	"share/agent/terminal"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// sharing is what the flags of share http say.
type sharing struct {
	process Process

	agent       agent.Config
	beside      beside
	view        terminal.Config
	style       tunnel.Style
	level       slog.Level
	json, quiet bool
	limits      limits
	readyFD     readyFD
	job         job
	lan         lan
	local       local
	unread      context.Context // ends when nobody reads what is shown

	control controlled
	detach  detaching

	entry
	errorPages string

	running atomic.Pointer[agent.Agent] // that the view looks at

	named *project.Setting // what names the relays, if only a project's file does
	own   []string         // the relays of the user's own file
}

func httpCommand(p Process) *cli.Command {
	s := &sharing{process: p}
	return &cli.Command{
		Name:      "http",
		Usage:     "share a web target",
		ArgsUsage: "TARGET [-- COMMAND…]",
		UsageText: "share http 8080\tshare what listens on port 8080\n" +
			"share http 3000 -- npm run dev\tstart it, too: it finds its URL in SHARE_URL\n" +
			"share http 8080 --name demo\task for a name",
		Description: "TARGET is a port of this machine (8080), host:port, http://, https://, h2c:// or h2://host:port, or unix:/path.\n" +
			"Flags may stand before or after it. A relay elsewhere wants a token, from SHARE_TOKEN, --token-file or share login.\n" +
			"COMMAND is started once there is a URL, which it finds in SHARE_URL; the tunnel is ready when the target is up, and\n" +
			"ends with COMMAND, with its exit code.",
		Action: s.share,
		Flags:  s.flags(),
	}
}

func (s *sharing) flags() []cli.Flag {
	return slices.Concat(
		cmdline.Under("relay", s.entry.flags()...),
		cmdline.Under("relay",
			cmdline.Value("lanes", "hold at least `N` connections to the relay, 1 to 8 (default: 1; one more joins when large bodies fill them)", cmdline.Number(&s.agent.Lanes, 1, 8)),
		),
		cmdline.Under("name",
			cmdline.Text("name", "ask for `NAME` (default: one that stays the same for this folder and target)", &s.agent.Name),
			cmdline.Text("domain", "ask for the name that `DOMAIN` leads to, a domain of the account's own that the relay knows, and show its URL", &s.agent.Domain),
			cmdline.Toggle("random", "ask for a new name each time", &s.agent.Random),
			cmdline.Toggle("takeover", "take the name from another agent of the same account", &s.agent.Takeover),
		),
		cmdline.Under("ready",
			cmdline.Value("wait", "give up when relay or target is not up after `TIME` (default: never)", cmdline.Duration(&s.agent.Wait, 0)),
			cmdline.Toggle("require-verified", "give up when no request comes back through the URL", &s.agent.RequireVerified),
		),
		cmdline.Under("target",
			cmdline.Value("hold", "let requests wait for `TIME` while nothing listens on the target (default: not at all)", cmdline.Duration(&s.agent.Target.Hold, 0)),
			cmdline.Value("connect-timeout", "bound a connect to the target by `TIME` (default: 5s)", cmdline.Duration(&s.agent.Target.ConnectTimeout, 0)),
			cmdline.Value("header-timeout", "bound the wait for the target's answer by `TIME` (default: 120s)", cmdline.Duration(&s.agent.Target.HeaderTimeout, 0)),
			cmdline.Text("host-header", "send `HOST`: keep for the visitor's, target for the target's own, or a host (default: keep)", &s.agent.Target.HostHeader),
			cmdline.Toggle("insecure-target", "accept any certificate of the target", &s.agent.Target.Insecure),
		),
		cmdline.Under("failures",
			cmdline.Value("errors", "name the target's address to visitors when it fails as `HOW`: full for always, brief for never (default: if it is on loopback)",
				cmdline.Choice(&s.style.Reveal, map[string]tunnel.Reveal{"full": tunnel.RevealFull, "brief": tunnel.RevealBrief})),
			cmdline.Text("error-pages", "show the pages in `DIR` when it fails: 502.html, 5xx.html, error.html", &s.errorPages),
		),
		cmdline.Under("ending",
			cmdline.Value("grace", "let requests in flight end within `TIME` when stopped (default: 10s)", cmdline.Duration(&s.agent.Grace, -1)),
		),
		cmdline.Under("output",
			cmdline.Toggle("json", "write events to stdout and logs to stderr as JSON", &s.json),
			cmdline.Toggle("quiet", "write the URL to stdout, errors to stderr, and nothing else", &s.quiet),
			cmdline.Text("url-file", "keep the URL in `FILE` while the tunnel is ready", &s.view.URLFile),
			cmdline.Text("dotenv", "leave the URL as SHARE_URL in `FILE`, for artifacts:reports:dotenv of GitLab", &s.job.dotenv),
			cmdline.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", cmdline.Level(&s.level)),
		),
		cmdline.Under("ending", s.limits.flags()...),
		cmdline.Under("ready", s.readyFD.flags()...),
		cmdline.Under("ready", s.beside.flags()...),
		cmdline.Under("ready", s.detach.flags("the tunnel is ready, with --wait once the target is up, too")...),
		cmdline.Under("relay", s.lan.flags()...),
		cmdline.Under("relay", s.local.flags()...),
	)
}

// share shares a target until a signal or a limit, and shows how that goes.
func (s *sharing) share(c *cli.Context) error {
	targets, command, err := splitCommand(c.Args().Slice())
	switch {
	case err != nil:
		return err
	case s.detach.wanted && s.readyFD.number != 0:
		return cmdline.Usage("leave one of them away: share returns when the URL is ready", "--detach and --ready-fd are both asked for")
	case s.json && s.quiet:
		return cmdline.Usage("leave one of them away", "--json and --quiet are both asked for")
	case s.json:
		s.view.Mode = terminal.JSON
	case s.quiet:
		s.view.Mode = terminal.Quiet
	}
	s.beside.command = command
	addr, err := target.Parse(targets[0])
	if err != nil {
		return cmdline.Usage("", "%v", err)
	}
	s.agent.Target.Address, s.view.Target = addr, addr.String()
	s.look()
	if s.detach.due() {
		return s.detach.start(&s.process, s.view)
	}
	shown, err := s.detach.open(&s.process, terminal.Suit(s.view, s.streams()))
	if err != nil {
		return err
	}
	defer s.detach.close()
	s.job.quote(s.process, &shown)
	s.unread, shown.Unread = context.WithCancel(context.Background())
	defer shown.Unread()
	view := terminal.Start(shown)
	s.job.open(s.process, s.json, view)
	code, reason, err := s.serve(c, view)
	s.job.Close(err)
	code = view.Close(code, reason, err)
	if err != nil {
		reason = err.Error()
	}
	s.control.end(code, reason)
	return cli.Exit("", code)
}

// serve shares the target until a signal or a limit, and gives the exit code and
// the name of that.
func (s *sharing) serve(c *cli.Context, view *terminal.View) (code int, reason string, err error) {
	if err := s.beside.check(); err != nil {
		return 0, "", err
	}
	if err := s.local.check(s.relays, s.process.Getenv(cmdline.Variable("relay")), s.lan.wanted); err != nil {
		return 0, "", err
	}
	if err := s.fill(c); err != nil {
		return 0, "", err
	}
	if s.local.wanted {
		s.relays = nil
	}
	if err := s.lan.check(s.relays); err != nil {
		return 0, "", err
	}
	s.inside = s.lan.wanted || s.local.wanted
	if err := s.load(); err != nil {
		return 0, "", err
	}
	s.beside.prepare(s, view)
	if err := s.readyFD.open(max(len(s.relays), 1), s.beside.warn); err != nil {
		return 0, "", err
	}
	defer s.readyFD.close()
	limiter := s.limits.limit(&s.agent)
	systemd := service{warn: s.beside.warn}
	var ready atomic.Bool
	s.agent.OnEvent = func(e agent.Event) {
		if e.Kind == agent.EventReady {
			ready.Store(true)
		}
		s.beside.pass(e, func(e agent.Event) {
			s.control.note(e)
			s.job.Show(e) // before the view: who sees the URL there finds it here
			view.Show(e)
			if e.Kind == agent.EventReady {
				s.detach.ready(view)
			}
			s.readyFD.observe(e)
			systemd.observe(e)
		})
		limiter.observe(e)
	}
	var inside Inside
	if len(s.relays) == 0 {
		addresses, err := s.lan.addresses()
		if err != nil {
			return 0, "", err
		}
		if inside, err = s.process.Inside(addresses, s.agent.Target.Address.Port); err != nil {
			return 0, "", err
		}
		defer inside.Close()
		s.agent.Dial = inside.Dial
		s.agent.Notices = inside.Notes()
		if note := s.unshown(&s.process); note != "" {
			s.agent.Notices = append(s.agent.Notices, note)
		}
	}
	a, err := agent.New(s.agent)
	if err != nil {
		return 0, "", err
	}
	s.job.Mask(s.agent.Token)
	for _, token := range s.agent.Logins {
		s.job.Mask(token)
	}
	s.running.Store(a)
	run, cut := a.Run, a.Cut
	if inside != nil {
		run = func(ctx context.Context) error { return inside.Serve(ctx, a.Run) }
		cut = func() { a.Cut(); inside.Cut() }
	}
	signalled, stop := s.process.UntilSignal(func() { cut(); s.beside.kill() })
	defer stop()
	ctx := limiter.start(signalled)
	defer limiter.stop()
	defer context.AfterFunc(s.unread, func() { limiter.end(errUnread) })()
	if err := s.control.open(&s.process, s.controlConfig(a, func() { limiter.end(endStop) })); err != nil {
		if s.detach.inside {
			return 0, "", uncontrolled(err)
		}
		s.beside.warn(err.Error())
	}
	defer s.control.follow(ctx)()
	defer systemd.watch(ctx)()
	ended, err := s.beside.run(ctx, run)
	switch {
	case err != nil:
		return 0, "", err
	case ended != nil:
		return ended.code, ended.reason, nil
	}
	return stopped(context.Cause(ctx), ready.Load())
}

// load reads what the flags name: relays, and files.
func (s *sharing) load() (err error) {
	cfg := &s.agent
	cfg.Domain = strings.ToLower(strings.TrimSuffix(cfg.Domain, "."))
	if err := s.enter(&s.process, cfg); err != nil {
		return err
	}
	if err := s.trusted(); err != nil {
		return err
	}
	if s.errorPages != "" {
		if s.style.Pages, err = tunnel.ParsePages(os.DirFS(s.errorPages)); err != nil {
			return cmdline.Unusable("mend the page in "+s.errorPages, err)
		}
	}
	if err := clearFile("url-file", s.view.URLFile); err != nil {
		return err
	}
	if err := clearFile("dotenv", s.job.dotenv); err != nil {
		return err
	}
	cfg.Target.Style = &s.style
	cfg.StateDir = s.process.StateDir
	cfg.Folder, _ = os.Getwd() // without one, the target alone makes the name
	return nil
}
