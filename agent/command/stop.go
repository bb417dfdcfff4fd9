package command

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"share/agent/control"
	"share/tunnel/cmdline"
)

// A stoppedAgent is one as share stop --json has it.
type stoppedAgent struct {
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

func stopCommand(p Process) *cli.Command {
	a := &asking{process: p}
	return a.command("stop", "stop an agent, once its requests have ended", "NAME", func(ctx context.Context, name string) error {
		agents, err := a.toStop(ctx, name)
		if err != nil {
			return err
		}
		return a.stop(ctx, agents)
	}, cmdline.Toggle("all", "stop all agents", &a.all), cmdline.Toggle("json", "write JSON", &a.json))
}

// toStop are the agents that are to be stopped.
func (a *asking) toStop(ctx context.Context, name string) ([]*control.Agent, error) {
	if a.all {
		if name != "" {
			return nil, cmdline.Usage("leave one of them away", "%q and --all are both to be stopped", name)
		}
		return a.agents(ctx)
	}
	g, err := a.pick(ctx, name, "stop")
	if err == nil && name != "" && has(g, name) && len(g.Status.All()) > 1 {
		return nil, cmdline.Failed(fmt.Sprintf("take it out of the agent's file, or stop all of them: share stop %d", g.PID),
			fmt.Errorf("%.100q is one of the %d tunnels of agent %s", name, len(g.Status.All()), nameOf(g)))
	}
	return []*control.Agent{g}, err
}

// stop stops agents, all at once, and returns when they have ended. The error is
// about the first that has not.
func (a *asking) stop(ctx context.Context, agents []*control.Agent) error {
	ended := make([]control.Stopped, len(agents))
	errs := make([]error, len(agents))
	var wg sync.WaitGroup
	for i, g := range agents {
		wg.Go(func() { ended[i], errs[i] = g.Stop(ctx) })
	}
	wg.Wait()
	all := []stoppedAgent{}
	var first error
	for i, g := range agents {
		// One that is gone is what was wanted.
		if errs[i] != nil && !errors.Is(errs[i], control.ErrGone) {
			if first == nil {
				first = unheard(g, errs[i])
			}
			continue
		}
		s := stoppedAgent{PID: g.PID, Code: ended[i].Code, Reason: ended[i].Reason}
		if g.Status != nil {
			s.Name = g.Status.Name
		}
		all = append(all, s)
		if !a.json {
			if _, err := fmt.Fprintf(a.process.Stdout, "stopped %s\n", nameOf(g)); err != nil && first == nil {
				first = err
			}
		}
	}
	if a.json {
		if err := writeJSON(a.process.Stdout, all); err != nil && first == nil {
			first = err
		}
	}
	return first
}
