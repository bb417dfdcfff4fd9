package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/control"
	"share/agent/project"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// upping is what the flags of share up say.
type upping struct {
	process            Process
	file               string
	check, json, quiet bool
	level              slog.Level

	control controlled
	detach  detaching
	urls    urlFile
	running atomic.Pointer[fleet] // that the view looks at
	local   local
	entry
}

// fileFlag makes the flag that names the project's file.
func fileFlag(dst *string) cli.Flag {
	return &cli.StringFlag{Name: "f", Usage: "read `FILE`", Value: project.Name, Destination: dst, EnvVars: []string{cmdline.Variable("file")}}
}

func upCommand(p Process) *cli.Command {
	u := &upping{process: p}
	return &cli.Command{
		Name:  "up",
		Usage: "share the targets of a file",
		Description: "The file has version: 1, and below tunnels: a label for each, with its target and what the flags of share http say.\n" +
			"When it is saved, and at SIGHUP, what has changed is bound or released; the rest goes on.",
		Action: u.up,
		Flags: slices.Concat([]cli.Flag{
			fileFlag(&u.file),
			cmdline.Toggle("check", "read the file, say what is wrong with it, and end", &u.check),
		}, u.entry.flags(), u.local.flags(), []cli.Flag{
			cmdline.Toggle("json", "write events to stdout and logs to stderr as JSON", &u.json),
			cmdline.Toggle("quiet", "write labels and URLs to stdout, errors to stderr, and nothing else", &u.quiet),
		}, u.urls.flags(), []cli.Flag{
			cmdline.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", cmdline.Level(&u.level)),
		}, u.detach.flags("each tunnel is ready or given up")),
	}
}

// up shares the targets of the file until a signal, and shows how that goes.
func (u *upping) up(c *cli.Context) error {
	view := u.look()
	switch {
	case c.NArg() > 0:
		return cmdline.Usage("name the file with -f", "up takes no argument")
	case u.json && u.quiet:
		return cmdline.Usage("leave one of them away", "--json and --quiet are both asked for")
	case u.check:
		return checkFile(u.process, u.file, u.given(c))
	case u.json:
		view.Mode = terminal.JSON
	case u.quiet:
		view.Mode = terminal.Quiet
	}
	p := &u.process
	if u.detach.due() {
		return u.detach.start(p, view)
	}
	view, err := u.detach.open(p, terminal.Suit(view, p.streams()))
	if err != nil {
		return err
	}
	defer u.detach.close()
	unread, cancel := context.WithCancel(context.Background())
	defer cancel()
	view.Unread = cancel
	v := terminal.Start(view)
	code, reason, err := u.serve(c, v, unread)
	code = v.Close(code, reason, err)
	// The view is closed: an error would be told too late.
	_ = u.urls.file.Close()
	if err != nil {
		reason = err.Error()
	}
	u.control.end(code, reason)
	return cli.Exit("", code)
}

// given is what the command line, and the environment, say for all tunnels.
func (u *upping) given(c *cli.Context) (given []origin) {
	for key, value := range map[string]string{
		"relay": strings.Join(u.relays, ","), "relay-ca": u.relayCA, "token-file": u.tokenFile, "insecure": fmt.Sprint(u.insecure),
	} {
		if c.IsSet(key) {
			given = append(given, origin{key, value, "--" + key})
		}
	}
	return given
}

// serve shares until a signal, or until nobody reads what is shown, and gives the
// exit code and the name of that.
func (u *upping) serve(c *cli.Context, view *terminal.View, unread context.Context) (code int, reason string, err error) {
	if err := u.local.check(u.relays, u.process.Getenv(cmdline.Variable("relay")), false); err != nil {
		return 0, "", err
	}
	text, err := project.Read(u.file)
	if err != nil {
		return 0, "", missing(err)
	}
	var ready atomic.Bool
	var f *fleet
	systemd := service{warn: func(message string) { view.Show(agent.Event{Kind: agent.EventWarning, Message: message}) }}
	show := func(e agent.Event) {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		u.control.note(e)
		view.Show(e)
		if e.Kind == agent.EventReady {
			ready.Store(true)
			f.settle(e)
		}
		systemd.observe(e)
	}
	f = newFleet(u.process, &u.control, show, func() {
		if u.urls.file.Path != "" {
			view.Then(func() { u.urls.keep(f) })
		}
		u.detach.ready(view)
	})
	p := &planner{process: u.process, file: u.file, given: u.given(c), local: u.local.wanted, show: show, dial: f.dial}
	plans, err := p.plans(text)
	if err != nil {
		return 0, "", err
	}
	if note := u.unshown(&u.process); note != "" && !u.local.wanted && slices.ContainsFunc(plans, func(p *plan) bool { return p.inside }) {
		show(agent.Event{Kind: agent.EventWarning, Message: note})
	}
	if err := u.urls.clear(); err != nil {
		return 0, "", err
	}
	hangup := make(chan struct{}, 1)
	signalled, stop := u.process.Reloading(u.detach.inside, f.cut, func() {
		select {
		case hangup <- struct{}{}:
		default:
		}
	})
	defer stop()
	u.running.Store(f)
	ctx, end := context.WithCancelCause(signalled)
	defer end(nil)
	f.stop = end
	defer context.AfterFunc(unread, func() { end(errUnread) })()
	if err := u.control.open(&u.process, u.controlConfig(func() { end(endStop) })); err != nil {
		if u.detach.inside {
			return 0, "", uncontrolled(err)
		}
		show(agent.Event{Kind: agent.EventWarning, Message: err.Error()})
	}
	defer u.control.follow(ctx)()
	defer systemd.watch(ctx)()
	err = u.follow(ctx, f, p, plans, text, hangup)
	end(nil)
	if failed := f.wait(); err == nil {
		err = failed
	}
	if err != nil {
		return 0, "", err
	}
	if e, ok := errors.AsType[*ended](context.Cause(ctx)); ok {
		return e.code, e.reason, nil
	}
	return stopped(context.Cause(ctx), ready.Load())
}

// controlConfig is what others can ask of a running share up. stop has it stop.
func (u *upping) controlConfig(stop func()) control.Config {
	file, err := filepath.Abs(u.file)
	if err != nil {
		file = u.file // there is no working folder any more
	}
	return control.Config{
		Options: struct {
			File     string   `json:"file"`
			Relays   []string `json:"relays,omitempty"`
			RelayCA  string   `json:"relay_ca,omitempty"`
			Insecure bool     `json:"insecure,omitempty"`
			URLFile  string   `json:"url_file,omitempty"`
			StateDir string   `json:"state_dir,omitempty"`
		}{file, u.relays, u.relayCA, u.insecure, u.urls.file.Path, u.process.StateDir},
		Log:  u.detach.path(),
		Stop: stop,
	}
}

// follow has the fleet be what the file says, whenever that changes or hangup says
// so, until ctx ends or the last tunnel is given up.
func (u *upping) follow(ctx context.Context, f *fleet, p *planner, plans []*plan, text []byte, hangup <-chan struct{}) error {
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	changed := make(chan change)
	wg.Go(func() {
		project.Watch(watching, u.file, text, func(text []byte, err error) {
			select {
			case changed <- change{text: text, err: err}:
			case <-watching.Done():
			}
		})
	})
	if err := f.apply(ctx, plans, false); err != nil {
		return err
	}
	for {
		var next change
		select {
		case <-ctx.Done():
			return nil
		case m := <-f.ended:
			if f.lone() {
				return m.err
			}
			f.giveUp(m)
			continue
		case next = <-changed:
		case <-hangup:
			next.anew = true
			next.text, next.err = project.Read(u.file)
		}
		if err := u.reload(ctx, f, p, next); err != nil {
			return err
		}
	}
}

// A change is what there is to be read.
type change struct {
	text []byte
	err  error
	anew bool // what was given up is tried again
}

// reload has the fleet be what the file says now. What cannot be is told, and
// changes nothing.
func (u *upping) reload(ctx context.Context, f *fleet, p *planner, next change) error {
	var plans []*plan
	err := next.err
	if err == nil {
		plans, err = p.plans(next.text)
	}
	if err != nil {
		message := err.Error()
		if e, ok := errors.AsType[*cmdline.Error](err); ok && e.Hint != "" {
			message += ": " + e.Hint
		}
		f.show(agent.Event{Kind: agent.EventWarning, Message: "the tunnels stay as they are: " + message})
		return nil
	}
	return f.apply(ctx, plans, next.anew)
}

func missing(err error) error {
	return cmdline.Unusable("write one, or name another with -f", err)
}
