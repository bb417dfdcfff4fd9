package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/child"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// beside is what runs beside the agent: the command behind --, which is to be the
// target, and the one that --on-ready starts.
type beside struct {
	command []string
	onReady string
	exit    bool // the agent ends with that of --on-ready
	holds   bool // the tunnel is ready no sooner than the target is up

	process Process
	target  string // as the user named it
	grace   time.Duration
	view    *terminal.View
	note    func(agent.Event) // takes what a program writes, beside the view
	cut     chan struct{}     // closed by kill
	once    sync.Once
	ready   chan struct{} // closed when there is a URL: url and name are set
	up      chan struct{} // closed when the target is first up

	mu        sync.Mutex
	url, name string        // guarded by mu until ready is closed
	isUp      bool          // guarded by mu
	begun     bool          // the command runs, or did; guarded by mu
	held      []agent.Event // those ready that wait for the target, guarded by mu
}

func (b *beside) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Text("on-ready", "run `COMMAND` in a shell once the tunnel is ready and the target up, with SHARE_URL and SHARE_NAME", &b.onReady),
		cmdline.Toggle("exit-with-on-ready", "end when that command has ended, with its exit code", &b.exit),
	}
}

// check returns a *cmdline.Error for what cannot be run.
func (b *beside) check() error {
	if b.exit && b.onReady == "" {
		return cmdline.Usage("name its command with --on-ready", "--exit-with-on-ready is asked for without --on-ready")
	}
	if len(b.command) == 0 {
		return nil
	}
	return child.Find(b.command[0])
}

// prepare is called before all that follows.
func (b *beside) prepare(s *sharing, view *terminal.View) {
	b.process, b.target, b.grace, b.view, b.note = s.process, s.view.Target, s.agent.Grace, view, s.control.note
	b.holds = len(b.command) > 0 || s.detach.inside && s.agent.Wait > 0
	b.cut, b.ready, b.up = make(chan struct{}), make(chan struct{}), make(chan struct{})
}

// pass passes an event of the agent's on. A tunnel to a command is ready when the
// command has come up: until then, that it is ready is held back, and that the
// target is down is no news. Held back, too, is one in the background that waits for
// its target: who has started it would not hear of its end.
func (b *beside) pass(e agent.Event, on func(agent.Event)) {
	b.mu.Lock()
	events := b.order(e)
	b.mu.Unlock()
	for _, e := range events {
		on(e)
	}
}

// order gives the events that are to be passed on now that e has come. The caller
// holds mu.
func (b *beside) order(e agent.Event) []agent.Event {
	same := func(held agent.Event) bool { return held.Relay == e.Relay }
	switch {
	case e.Kind == agent.EventReady:
		first := b.url == ""
		if first {
			b.url, b.name = e.URL, e.Name
			close(b.ready)
		}
		if b.holds && !b.isUp {
			b.held = append(slices.DeleteFunc(b.held, same), e)
			return nil
		}
		if first {
			return append(b.early(e.Time), e)
		}
	case e.Kind == agent.EventReconnecting:
		b.held = slices.DeleteFunc(b.held, same)
	case e.Kind == agent.EventTarget && e.Up && !b.isUp:
		b.isUp = true
		close(b.up)
		events := []agent.Event{e}
		if b.url != "" {
			events = append(events, b.early(e.Time)...)
		}
		events = append(events, b.held...)
		for i := range events {
			events[i].Time = e.Time // the tunnel is ready only now
		}
		b.held = nil
		return events
	case e.Kind == agent.EventTarget && !b.isUp && len(b.command) > 0:
		return nil
	}
	return []agent.Event{e}
}

// early is a warning if something listens at the target, and cannot be the command.
// The caller holds mu.
func (b *beside) early(at time.Time) []agent.Event {
	if len(b.command) == 0 || b.begun {
		return nil
	}
	return []agent.Event{{Kind: agent.EventWarning, Time: at,
		Message: fmt.Sprintf("%s was up before %s was started: something else listens there", b.target, child.Name(b.command[0]))}}
}

// begin notes that the command is run, and reports whether the target was up before.
func (b *beside) begin() (early bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	return b.isUp
}

// waits reports whether the command has not come up yet.
func (b *beside) waits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.command) > 0 && !b.isUp
}

// kill ends at once what runs. It may be called more than once.
func (b *beside) kill() { b.once.Do(func() { close(b.cut) }) }

// An ended is why a run ends with a code that is not its own, such as that of a
// program beside the agent, as the cause of a context.
type ended struct {
	code   int
	reason string
}

func (e *ended) Error() string { return e.reason }

// errUnread ends a run whose output nobody reads any more, as SIGPIPE would.
var errUnread = &ended{128 + int(syscall.SIGPIPE), "nobody reads the output"}

// run runs the agent, and what is to run beside it, until the first of them has
// ended or ctx has. The command is the target: it is ended, by the signal that came
// if one did, when the agent has let requests in flight end. That of --on-ready may
// be who sent them, and gets a signal at once. It returns nil if nothing that ran
// beside the agent says how the process is to end.
func (b *beside) run(ctx context.Context, run func(context.Context) error) (*ended, error) {
	work, end := context.WithCancelCause(ctx)
	defer end(nil)
	target, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	visitor, leave := context.WithCancelCause(target)
	defer leave(nil)
	defer context.AfterFunc(work, func() {
		if sig, ok := errors.AsType[cmdline.Interrupt](context.Cause(work)); ok {
			leave(sig)
		}
	})()
	var command, onReady *ended // nil for what did not run
	var wg sync.WaitGroup
	if len(b.command) > 0 {
		wg.Go(func() {
			var err error
			if command, err = b.runCommand(target); err != nil {
				end(err)
			} else if command != nil {
				end(command)
			}
		})
	}
	if b.onReady != "" {
		wg.Go(func() {
			var err error
			onReady, err = b.runOnReady(visitor)
			switch {
			case err != nil:
				end(err)
			case onReady != nil && b.exit:
				end(onReady)
			case onReady != nil && onReady.code != 0 && work.Err() == nil:
				b.warn(onReady.reason)
			}
		})
	}
	err := run(work)
	end(nil)
	stop(context.Cause(work))
	wg.Wait()
	if err != nil {
		return nil, err
	}
	return b.verdict(context.Cause(work), command)
}

// verdict says how the process ends after cause has ended the run, and command,
// nil if it did not run.
func (b *beside) verdict(cause error, command *ended) (*ended, error) {
	if e, ok := errors.AsType[*cmdline.Error](cause); ok {
		return nil, e
	}
	if e, ok := errors.AsType[*ended](cause); ok {
		if b.exit && e == command && e.code == 0 {
			// Whoever waits for --on-ready must not take that for its success.
			return nil, &cmdline.Error{Code: cmdline.ExitTargetDown, Message: e.reason + ", before --on-ready did",
				Hint: "let it run for as long as it is the target"}
		}
		return e, nil
	}
	if cause == endTTL && b.waits() {
		return nil, &cmdline.Error{Code: cmdline.ExitTargetDown, Message: "nothing came to listen on " + b.target + " in the time that --ttl gave it",
			Hint: "share the port that the command listens on"}
	}
	if limit, ok := errors.AsType[ending](cause); ok && b.exit {
		// Nor must this be taken for its success.
		e := &cmdline.Error{Code: cmdline.ExitFailed, Message: string(limit) + " ended the tunnel before --on-ready had ended"}
		if limit != endStop {
			e.Hint = "raise --" + string(limit) + ", or see what the command waits for"
		}
		return nil, e
	}
	sig, interrupted := errors.AsType[cmdline.Interrupt](cause)
	switch {
	case interrupted && b.exit:
		return &ended{128 + int(sig.Signal), sig.String()}, nil
	case interrupted && command != nil:
		return &ended{command.code, sig.String()}, nil
	}
	return nil, nil
}

// splitCommand parts what was typed into targets and the command behind --.
func splitCommand(args []string) (targets, command []string, err error) {
	targets, command, found := cmdline.Behind(args)
	switch {
	case found && len(command) == 0:
		return nil, nil, cmdline.Usage("write share http 3000 -- npm run dev", "no command stands behind --")
	case found && command[0] == "":
		return nil, nil, cmdline.Usage("write share http 3000 -- npm run dev", "the command behind -- has an empty name")
	case len(targets) == 0:
		return nil, nil, cmdline.Usage("write share http 8080", "no target is named")
	case len(targets) > 1:
		return nil, nil, cmdline.Usage("share one target; a command stands behind --, as in share http 3000 -- npm run dev", "there is more than one target: %q", targets)
	}
	return targets, command, nil
}
