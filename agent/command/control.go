package command

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/control"
	"share/agent/terminal"
	"share/tunnel"
)

// controlled is the socket at which a running agent takes other commands. The
// zero value has none, and its methods do nothing.
type controlled struct {
	server *control.Server
	cancel context.CancelFunc
	serves sync.WaitGroup
}

// controlConfig is what others can ask of a running share http. stop has it stop.
func (s *sharing) controlConfig(a *agent.Agent, stop func()) control.Config {
	grace := graceOf(s.agent.Grace)
	if len(s.beside.command) > 0 || s.beside.onReady != "" {
		grace += min(grace, math.MaxInt64-grace) // its own comes after that of requests
	}
	return control.Config{
		Target:  s.view.Target,
		Name:    s.agent.Name,
		Grace:   grace,
		Log:     s.detach.path(),
		Options: s.options(),
		Measure: a.Measure,
		Stop:    stop,
	}
}

// open listens for other commands until end. It completes cfg by what p has, and by
// how lines look.
func (c *controlled) open(p *Process, cfg control.Config) error {
	cfg.Places, cfg.Version = p.places(), p.Version
	cfg.Lines = func(json bool) func([]byte, agent.Event) []byte {
		mode := terminal.Plain
		if json {
			mode = terminal.JSON
		}
		return terminal.Lines(mode, cfg.Target)
	}
	server, err := control.Open(cfg)
	if err != nil {
		return fmt.Errorf("other commands cannot reach this agent: %w", err)
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	c.server = server
	c.serves.Go(func() {
		// If it fails nobody is answered any more, and the tunnel goes on.
		_ = server.Serve(ctx)
	})
	return nil
}

// defaultGrace is what package agent takes if none is configured.
const defaultGrace = 10 * time.Second

// graceOf is how long an agent of that configuration takes at most to stop.
func graceOf(configured time.Duration) time.Duration {
	if configured == 0 {
		return defaultGrace
	}
	return max(configured, 0)
}

// bind, release and giveUp tell of one of several tunnels, as control.Server says.
func (c *controlled) bind(b control.Bound) {
	if c.server != nil {
		c.server.Bind(b)
	}
}

func (c *controlled) release(label string) {
	if c.server != nil {
		c.server.Release(label)
	}
}

func (c *controlled) giveUp(label, reason string) {
	if c.server != nil {
		c.server.GiveUp(label, reason)
	}
}

// note takes an event.
func (c *controlled) note(e agent.Event) {
	if c.server != nil {
		c.server.Note(e)
	}
}

// follow notes the end of ctx, with which the agent begins to stop.
func (c *controlled) follow(ctx context.Context) (stop func() bool) {
	if c.server == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, c.server.Stopping)
}

// end tells those who wait how the agent has ended, and ends what open began.
func (c *controlled) end(code int, reason string) {
	if c.server == nil {
		return
	}
	c.server.End(code, reason)
	c.cancel()
	c.serves.Wait()
}

// places are where this user's agents can be found.
func (p *Process) places() control.Places {
	return control.Places{Runtime: p.RuntimeDir, State: p.StateDir, Temp: p.TempDir}
}

// options are what a running share http was told to do, as share inspect shows it:
// times as flags have them, and of what lets it in no more than the kind.
func (s *sharing) options() any {
	credential := "none"
	switch {
	case s.agent.Token != "":
		credential = "token"
	case len(s.agent.Logins) > 0:
		credential = "login"
	case s.agent.Identity != nil:
		credential = s.agent.Identity.String()
	}
	return struct {
		Relays          []string `json:"relays,omitempty"`
		RelayCA         string   `json:"relay_ca,omitempty"`
		Credential      string   `json:"credential"`
		Insecure        bool     `json:"insecure,omitempty"`
		LAN             bool     `json:"lan,omitempty"`
		Local           bool     `json:"local,omitempty"`
		Lanes           int      `json:"lanes,omitempty"`
		Name            string   `json:"name,omitempty"`
		Domain          string   `json:"domain,omitempty"`
		Random          bool     `json:"random,omitempty"`
		Takeover        bool     `json:"takeover,omitempty"`
		Wait            string   `json:"wait,omitempty"`
		RequireVerified bool     `json:"require_verified,omitempty"`
		Hold            string   `json:"hold,omitempty"`
		ConnectTimeout  string   `json:"connect_timeout,omitempty"`
		HeaderTimeout   string   `json:"header_timeout,omitempty"`
		HostHeader      string   `json:"host_header,omitempty"`
		InsecureTarget  bool     `json:"insecure_target,omitempty"`
		Errors          string   `json:"errors,omitempty"`
		ErrorPages      string   `json:"error_pages,omitempty"`
		Grace           string   `json:"grace,omitempty"`
		URLFile         string   `json:"url_file,omitempty"`
		Folder          string   `json:"folder,omitempty"`
		StateDir        string   `json:"state_dir,omitempty"`
	}{
		Relays:          s.relays,
		RelayCA:         s.relayCA,
		Credential:      credential,
		Insecure:        s.agent.Insecure,
		LAN:             s.lan.wanted,
		Local:           s.local.wanted,
		Lanes:           s.agent.Lanes,
		Name:            s.agent.Name,
		Domain:          s.agent.Domain,
		Random:          s.agent.Random,
		Takeover:        s.agent.Takeover,
		Wait:            span(s.agent.Wait),
		RequireVerified: s.agent.RequireVerified,
		Hold:            span(s.agent.Target.Hold),
		ConnectTimeout:  span(s.agent.Target.ConnectTimeout),
		HeaderTimeout:   span(s.agent.Target.HeaderTimeout),
		HostHeader:      s.agent.Target.HostHeader,
		InsecureTarget:  s.agent.Target.Insecure,
		Errors:          map[tunnel.Reveal]string{tunnel.RevealFull: "full", tunnel.RevealBrief: "brief"}[s.style.Reveal],
		ErrorPages:      s.errorPages,
		Grace:           span(s.agent.Grace),
		URLFile:         s.view.URLFile,
		Folder:          s.agent.Folder,
		StateDir:        s.agent.StateDir,
	}
}

// span is a time as a flag has it, empty if it is the default.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 0:
		return "0s"
	}
	return d.String()
}

// asking is what the flags say of a command that asks agents.
type asking struct {
	process Process
	json    bool
	follow  bool
	all     bool
}

// askingCommands are those that ask the agents of this user that run.
func askingCommands(p Process) []*cli.Command {
	return []*cli.Command{lsCommand(p), urlCommand(p), stopCommand(p), logsCommand(p), inspectCommand(p)}
}
