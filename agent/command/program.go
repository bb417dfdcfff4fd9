package command

import (
	"context"
	"fmt"
	"time"

	"share/agent"
	"share/agent/child"
)

// comeUpTime is how long a command may run, and the target not come up, before that
// is said.
const comeUpTime = 10 * time.Second

// runCommand runs the command behind -- once the tunnel has its URL. It returns nil
// if ctx ended before that.
func (b *beside) runCommand(ctx context.Context) (*ended, error) {
	select {
	case <-b.ready:
	case <-ctx.Done():
		return nil, nil
	}
	name := child.Name(b.command[0])
	if !b.begin() {
		defer time.AfterFunc(comeUpTime, func() { b.overdue(name) }).Stop()
	}
	return b.runChild(ctx, name, child.Config{Args: b.command, Stdin: b.process.Stdin, Env: b.environ()})
}

// overdue says that the target has not come up, if it has not.
func (b *beside) overdue(name string) {
	select {
	case <-b.up:
	default:
		b.warn(fmt.Sprintf("nothing listens on %s, and %s has run for %v: share the port that it listens on", b.target, name, comeUpTime))
	}
}

func (b *beside) warn(message string) {
	b.view.Show(agent.Event{Kind: agent.EventWarning, Message: message})
}

// runOnReady runs the command of --on-ready once there is something behind the URL.
// It returns nil if ctx ended before that.
func (b *beside) runOnReady(ctx context.Context) (*ended, error) {
	for _, c := range []chan struct{}{b.ready, b.up} {
		select {
		case <-c:
		case <-ctx.Done():
			return nil, nil
		}
	}
	return b.runChild(ctx, "on-ready", child.Config{Shell: b.onReady, Env: b.environ("SHARE_NAME=" + b.name)})
}

// environ gives the environment for a program, with the URL, which there is.
func (b *beside) environ(more ...string) []string {
	return child.Environ(b.process.Environ(), append(more, "SHARE_URL="+b.url)...)
}

func (b *beside) runChild(ctx context.Context, name string, cfg child.Config) (*ended, error) {
	cfg.Grace, cfg.Cut = b.grace, b.cut
	cfg.Line = func(ctx context.Context, stderr bool, line string) {
		e := agent.Event{Kind: agent.EventOutput, Time: time.Now(), Source: name, Stderr: stderr, Message: line}
		b.note(e)
		b.view.Print(ctx, e)
	}
	code, err := child.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &ended{code, fmt.Sprintf("%s ended with code %d", name, code)}, nil
}
