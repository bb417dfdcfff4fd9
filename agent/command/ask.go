package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent/control"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// command makes a command of those that ask agents. do gets its argument, empty
// if there is none; what is called want names an agent, and is always optional.
func (a *asking) command(name, usage, want string, do func(ctx context.Context, arg string) error, flags ...cli.Flag) *cli.Command {
	cmdline.Unset(flags) // the environment is for what lasts
	c := &cli.Command{Name: name, Usage: usage, Flags: flags, Action: func(c *cli.Context) error {
		switch {
		case want == "" && c.NArg() > 0:
			return cmdline.Usage("", "%s takes no argument, and not %q", name, c.Args().First())
		case c.NArg() > 1:
			return cmdline.Usage("", "%s takes one argument, %s", name, want)
		}
		return a.process.interruptible(func(ctx context.Context) error { return do(ctx, c.Args().First()) })
	}}
	if want != "" {
		c.ArgsUsage = "[" + want + "]"
		c.BashComplete = a.complete
	}
	return c
}

// interruptible runs do, whose context ends with a signal to stop. If do fails
// then, that is an end by the signal.
func (p *Process) interruptible(do func(context.Context) error) error {
	ctx, stop := p.UntilSignal(func() {})
	defer stop()
	err := do(ctx)
	if sig, ok := errors.AsType[cmdline.Interrupt](context.Cause(ctx)); ok && err != nil {
		return cli.Exit("", 128+int(sig.Signal))
	}
	return err
}

// completeTime bounds how long a shell waits for names.
const completeTime = time.Second

// complete writes the names of the agents that run.
func (a *asking) complete(c *cli.Context) {
	ctx, cancel := context.WithTimeout(c.Context, completeTime)
	defer cancel()
	for _, name := range a.process.places().Names(ctx) {
		fmt.Fprintln(c.App.Writer, terminal.Escape(name))
	}
}

// agents are all that run.
func (a *asking) agents(ctx context.Context) ([]*control.Agent, error) {
	agents, err := a.process.places().Agents(ctx)
	if err != nil {
		return nil, cmdline.Failed("", fmt.Errorf("agents cannot be looked for: %w", err))
	}
	return agents, nil
}

// pick returns the one agent that a name, or a pid in its place, stands for, the
// only one if both are empty. verb is what is to be done with it.
func (a *asking) pick(ctx context.Context, name, verb string) (*control.Agent, error) {
	agents, err := a.agents(ctx)
	if err != nil {
		return nil, err
	}
	return pick(agents, name, verb)
}

func pick(agents []*control.Agent, name, verb string) (*control.Agent, error) {
	found := agents
	if name != "" {
		found = slices.DeleteFunc(slices.Clone(agents), func(g *control.Agent) bool { return !has(g, name) })
		if len(found) == 0 {
			found = slices.DeleteFunc(slices.Clone(agents), func(g *control.Agent) bool { return strconv.Itoa(g.PID) != name })
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(agents) == 0:
		return nil, cmdline.Failed("start one with share http 8080", errors.New("no agent runs"))
	case len(found) == 0:
		return nil, cmdline.Failed("share ls lists those that run", fmt.Errorf("no agent has the name %.100q", name))
	}
	var each []string
	for _, g := range found {
		each = append(each, nameOf(g))
	}
	if name != "" {
		return nil, cmdline.Failed("write the pid of one: share "+verb+" PID",
			fmt.Errorf("%d agents have the name %.100q: %s", len(found), name, strings.Join(each, ", ")))
	}
	return nil, cmdline.Failed("name one: share "+verb+" NAME, or its pid", fmt.Errorf("%d agents run: %s", len(found), strings.Join(each, ", ")))
}

// has reports whether a tunnel of an agent has the name, or the label in its file.
func has(g *control.Agent, name string) bool {
	return g.Status != nil && slices.ContainsFunc(g.Status.All(), func(t control.Tunnel) bool { return t.Name == name || t.Label == name })
}

// tunnelOf returns the one tunnel of an agent that answers which has the name, or the
// label; the only one if nothing has that, as it stands for the agent then.
func tunnelOf(g *control.Agent, name string) (control.Tunnel, error) {
	all := g.Status.All()
	for _, is := range []func(control.Tunnel) bool{
		func(t control.Tunnel) bool { return t.Label == name && name != "" },
		func(t control.Tunnel) bool { return t.Name == name && name != "" },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], nil
		}
	}
	if len(all) > 1 {
		return control.Tunnel{}, cmdline.Failed("name one of them; share ls lists them", fmt.Errorf("agent %s has %d tunnels", nameOf(g), len(all)))
	}
	return all[0], nil
}

// nameOf names an agent to people: by its tunnels, as far as they are known, and its
// pid.
func nameOf(g *control.Agent) string {
	if g.Status == nil {
		return fmt.Sprintf("pid %d", g.PID)
	}
	all := g.Status.All()
	if more := len(all) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more (pid %d)", terminal.Escape(cmp.Or(all[0].Name, all[0].Label)), more, g.PID)
	}
	return nameOfTunnel(all[0], g.PID)
}

// nameOfTunnel names one of the tunnels of the agent with that pid to people.
func nameOfTunnel(t control.Tunnel, pid int) string {
	name := cmp.Or(t.Name, t.Label)
	if name == "" {
		return fmt.Sprintf("pid %d", pid)
	}
	return fmt.Sprintf("%s (pid %d)", terminal.Escape(name), pid)
}

// answering returns why an agent cannot be asked if it does not answer.
func answering(g *control.Agent) error {
	if g.Status == nil {
		return unheard(g, control.ErrSilent)
	}
	return nil
}

// unheard says why an agent was asked in vain.
func unheard(g *control.Agent, err error) error {
	hint := "share logs shows what it does"
	switch {
	case errors.Is(err, control.ErrSilent):
		err, hint = control.ErrSilent, "it may be suspended: continue it, or end the process"
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, control.ErrGone):
		hint = ""
	}
	return cmdline.Failed(hint, fmt.Errorf("agent %s: %w", nameOf(g), err))
}

// writeJSON writes v on lines that people can read, writeLine on one.
func writeJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	return writeText(w, text, err)
}

func writeLine(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	return writeText(w, text, err)
}

func writeText(w io.Writer, text []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = w.Write(append(terminal.ASCII(text), '\n'))
	return err
}
