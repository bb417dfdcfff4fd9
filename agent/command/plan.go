package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"share/agent"
	"share/agent/control"
	"share/agent/project"
	"share/agent/target"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// A plan is a tunnel of a file, as it is to be.
type plan struct {
	label   string
	target  target.Address
	origins []origin
	inside  bool     // its relay is the one in this process
	names   []string // what it asks for by name, each with its relay
	agent   *agent.Agent
	bound   control.Bound
}

// alike reports whether both make the same tunnel. What stands in a file that they
// name does not count.
func (p *plan) alike(o *plan) bool {
	values := func(p *plan) (all []string) {
		for _, o := range p.origins {
			all = append(all, o.key+"="+o.value)
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(values(p), values(o))
}

// A planner makes plans of a file.
type planner struct {
	process Process
	file    string   // its path
	given   []origin // what the command line says for all tunnels
	local   bool     // the relay in this process is to do for all
	show    func(agent.Event)
	dial    func(context.Context) (net.Conn, error) // the relay in this process
}

// plans are those of the file that has text. All of them can work, as far as that
// can be said beforehand.
func (p *planner) plans(text []byte) (plans []*plan, err error) {
	file, err := project.Parse(p.file, text, p.process.Getenv)
	if err != nil {
		return nil, err
	}
	if len(file.Tunnels) == 0 {
		return nil, cmdline.Unusable("add tunnels: and below it a label with target: 8080", fmt.Errorf("%s has no tunnels", p.file))
	}
	user, err := p.process.userFile()
	if err != nil {
		return nil, err
	}
	for _, t := range file.Tunnels {
		one, err := p.plan(t, file, user)
		if err != nil {
			return nil, err
		}
		for _, o := range plans {
			if slices.ContainsFunc(one.names, func(name string) bool { return slices.Contains(o.names, name) }) {
				return nil, t.Wrong("give each its own", "it asks for the name that tunnel "+o.label+" has")
			}
		}
		plans = append(plans, one)
	}
	return plans, nil
}

func (p *planner) plan(t project.Tunnel, file, user *project.File) (*plan, error) {
	s := &sharing{process: p.process}
	f, err := s.tunnelFlags()
	if err != nil {
		return nil, err
	}
	for _, o := range p.given {
		if f.isSet(o.key) {
			f.origins = slices.DeleteFunc(f.origins, func(e origin) bool { return e.key == o.key })
		}
		if err := f.set(o.key, o.value); err != nil {
			return nil, cmdline.Usage("", "--%s: %v", o.key, err)
		}
		f.origins = append(f.origins, o)
	}
	if err := s.take(f, t.Settings, file, user); err != nil {
		return nil, err
	}
	if p.local {
		s.relays, s.named, s.inside = nil, nil, true
		f.origins = slices.DeleteFunc(f.origins, func(o origin) bool { return o.key == "relay" })
	}
	one := &plan{label: t.Label}
	for _, set := range t.Settings {
		if set.Key == "target" {
			if one.target, err = target.Parse(set.Value); err != nil {
				return nil, set.Wrong("", strings.TrimPrefix(err.Error(), "target ")) // the key says that
			}
			f.origins = append(f.origins, origin{set.Key, set.Value, set.Origin()})
		}
	}
	s.agent.Target.Address = one.target
	named := len(s.relays) > 0
	if err := s.load(); err != nil {
		if s.named != nil {
			err = wrong(t, err)
		}
		return nil, err
	}
	if one.inside = len(s.relays) == 0; !one.inside && !named {
		f.origins = append(f.origins, origin{"relay", strings.Join(s.relays, ","), "share login"})
	}
	one.origins = f.origins
	cfg := p.config(s, one)
	if one.agent, err = agent.New(cfg); err != nil {
		return nil, wrong(t, err)
	}
	if name := cmp.Or(cfg.Name, cfg.Domain); name != "" {
		for _, relay := range append([]agent.RelayURL{cfg.Relay}, cfg.Others...) {
			one.names = append(one.names, name+" "+relay.String())
		}
	}
	one.bound = control.Bound{Label: one.label, Target: one.target.String(), Name: s.agent.Name, Grace: graceOf(s.agent.Grace), Measure: one.agent.Measure}
	return one, nil
}

// wrong is err with its place in the file, if it is about what was written there.
func wrong(t project.Tunnel, err error) error {
	if e, ok := errors.AsType[*cmdline.Error](err); ok && e.Code == cmdline.ExitUsage {
		return t.Wrong(e.Hint, e.Message)
	}
	return err
}

// config is what the tunnel's agent does.
func (p *planner) config(s *sharing, one *plan) agent.Config {
	cfg := s.agent
	// Two tunnels may have one target, so the label makes the name as well.
	if dir, err := filepath.Abs(filepath.Dir(p.file)); err == nil {
		cfg.Folder = dir + "\n" + one.label
	}
	if one.inside {
		cfg.Dial = p.dial
		if cfg.Name == "" && cfg.Domain == "" && !cfg.Random {
			cfg.Name = one.label // nobody else can have it
		}
	}
	cfg.OnEvent = func(e agent.Event) {
		e.Tunnel = one.label
		if e.Kind == agent.EventConnecting {
			e.Target = one.target.String()
		}
		p.show(e)
	}
	return cfg
}

// ports are those of this machine that the targets of plans have, or may have.
func ports(plans []*plan) (ports []int) {
	for _, p := range plans {
		ports = append(ports, p.target.Port)
	}
	return ports
}

// lines shows what plans have, a line for each value, and where it comes from if
// origins is set.
func lines(plans []*plan, origins bool) string {
	var b strings.Builder
	for _, p := range plans {
		all := slices.Clone(p.origins)
		// The compiler writes slices.SortFunc anew for each type of structure.
		sort.Slice(all, func(i, j int) bool { return all[i].key < all[j].key })
		for _, o := range all {
			line := p.label + "." + o.key + ": " + terminal.Escape(o.value)
			if origins {
				line = fmt.Sprintf("%-40s # %s", line, terminal.Escape(o.where))
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
