package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

func logsCommand(p Process) *cli.Command {
	a := &asking{process: p}
	return a.command("logs", "write the last 1,000 events of an agent", "NAME", func(ctx context.Context, name string) error {
		g, err := a.pick(ctx, name, "logs")
		if err == nil {
			err = answering(g)
		}
		if err != nil {
			return err
		}
		if err := g.Log(ctx, p.Stdout, a.json, a.follow); err != nil {
			return unheard(g, err)
		}
		return nil
	}, follow(&a.follow), cmdline.Toggle("json", "write the events as JSON, one on a line", &a.json))
}

// follow is -f, which is known by no longer name.
func follow(dst *bool) cli.Flag {
	return cmdline.Toggle("f", "write those that come as well, until the agent ends", dst)
}

func inspectCommand(p Process) *cli.Command {
	a := &asking{process: p}
	return a.command("inspect", "write all that an agent tells of itself, as JSON", "NAME", func(ctx context.Context, name string) error {
		g, err := a.pick(ctx, name, "inspect")
		if err == nil {
			err = answering(g)
		}
		if err != nil {
			return err
		}
		if a.json {
			return writeLine(p.Stdout, g.Status)
		}
		return writeJSON(p.Stdout, g.Status)
	}, cmdline.Toggle("json", "write it on one line", &a.json))
}
