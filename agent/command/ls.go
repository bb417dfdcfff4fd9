package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent/control"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// silent is the state of an agent that does not answer.
const silent = "not answering"

// A listed is a tunnel of an agent as share ls --json has it.
type listed struct {
	Label    string     `json:"tunnel,omitempty"` // what a file calls it
	Name     string     `json:"name"`
	URL      string     `json:"url"`
	Target   string     `json:"target"`
	State    string     `json:"state"`
	Since    *time.Time `json:"since,omitempty"` // when the state began
	Requests uint64     `json:"requests"`
	PID      int        `json:"pid"`
}

func lsCommand(p Process) *cli.Command {
	a := &asking{process: p}
	return a.command("ls", "list the agents that run", "", func(ctx context.Context, _ string) error {
		agents, err := a.agents(ctx)
		if err != nil {
			return err
		}
		rows := []listed{}
		for _, g := range agents {
			rows = append(rows, rowsOf(g)...)
		}
		if a.json {
			return writeJSON(p.Stdout, rows)
		}
		return writeAgents(p.Stdout, rows, time.Now())
	}, cmdline.Toggle("json", "write JSON", &a.json))
}

// rowsOf are those of an agent, one at least.
func rowsOf(g *control.Agent) (rows []listed) {
	if g.Status == nil {
		return []listed{{State: silent, PID: g.PID}}
	}
	for _, t := range g.Status.All() {
		rows = append(rows, listed{t.Label, t.Name, t.URL, t.Target, t.State, &t.Since, t.Requests, g.PID})
	}
	return rows
}

// writeAgents writes agents to w as a table, as they are at now.
func writeAgents(w io.Writer, rows []listed, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tURL\tTARGET\tSTATE\tFOR\tREQUESTS\tPID") // an error stays for Flush
	for _, r := range rows {
		span := "-"
		if r.Since != nil {
			span = age(now.Sub(*r.Since))
		}
		cell := func(s string) string { return cmp.Or(terminal.Escape(s), "-") }
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%d\n", cell(cmp.Or(r.Name, r.Label)), cell(r.URL), cell(r.Target), cell(r.State), span, r.Requests, r.PID)
	}
	return tw.Flush()
}

// age says how long something takes already.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

func urlCommand(p Process) *cli.Command {
	a := &asking{process: p}
	return a.command("url", "write the URL of an agent", "NAME", func(ctx context.Context, name string) error {
		g, err := a.pick(ctx, name, "url")
		if err == nil {
			err = answering(g)
		}
		if err != nil {
			return err
		}
		t, err := tunnelOf(g, name)
		if err != nil {
			return err
		}
		if t.URL == "" {
			return cmdline.Failed("wait until share ls says that it is online", fmt.Errorf("agent %s has no URL yet: it is %s", nameOfTunnel(t, g.PID), terminal.Escape(t.State)))
		}
		if a.json {
			return writeJSON(p.Stdout, struct {
				Name string `json:"name"`
				URL  string `json:"url"`
				PID  int    `json:"pid"`
			}{t.Name, t.URL, g.PID})
		}
		_, err = fmt.Fprintln(p.Stdout, terminal.Escape(t.URL))
		return err
	}, cmdline.Toggle("json", "write JSON", &a.json))
}
