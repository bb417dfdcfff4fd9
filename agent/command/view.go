package command

import (
	"errors"
	"os/exec"
	"runtime"

	"share/agent"
	"share/agent/terminal"
)

// look has the view show the agent and heed keys.
func (s *sharing) look() {
	s.view.Level, s.view.QR = s.level, s.lan.wanted
	s.view.Interrupt, s.view.Browse = s.process.Interrupt, browser(s.process.Getenv)
	s.view.Gauge = func() (g agent.Gauge) {
		if a := s.running.Load(); a != nil {
			g = a.Gauge()
		}
		return g
	}
	s.view.SendOwnHost = func() {
		if a := s.running.Load(); a != nil {
			a.SendOwnHost()
		}
	}
}

// streams are those of the view. A command has the terminal's input for itself.
func (s *sharing) streams() terminal.Streams {
	streams := s.process.streams()
	if len(s.beside.command) > 0 {
		streams.Stdin = nil
	}
	return streams
}

// look has the view show the tunnels and heed keys.
func (u *upping) look() terminal.Config {
	return terminal.Config{
		Level:     u.level,
		Interrupt: u.process.Interrupt,
		Browse:    browser(u.process.Getenv),
		Tunnels: func() []terminal.Tunnel {
			if f := u.running.Load(); f != nil {
				return f.look()
			}
			return nil
		},
	}
}

// look gives the tunnels as a view has them, in the order of the file, but for those
// that are being released.
func (f *fleet) look() (tunnels []terminal.Tunnel) {
	f.mu.Lock()
	var members []*member
	for _, label := range f.order {
		if m := f.members[label]; m != nil {
			members = append(members, m)
		}
	}
	f.mu.Unlock()
	for _, m := range members {
		t := terminal.Tunnel{Label: m.plan.label, Target: m.plan.target.String(), Since: m.since, Ended: m.given(), Gauge: m.plan.agent.Gauge()}
		if t.Ended && m.err != nil {
			t.Reason = m.err.Error()
		}
		tunnels = append(tunnels, t)
	}
	return tunnels
}

// streams are those of the process.
func (p *Process) streams() terminal.Streams {
	return terminal.Streams{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Getenv: p.Getenv}
}

// browser returns what opens a URL in the user's browser, nil if there is none
// here: on a machine that is reached by SSH, or has no windows.
func browser(getenv func(string) string) func(url string) error {
	var opener []string
	switch {
	case runtime.GOOS == "windows":
		opener = []string{"rundll32", "url.dll,FileProtocolHandler"}
	case runtime.GOOS == "darwin" && getenv("SSH_CONNECTION") == "":
		opener = []string{"open"}
	case getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "":
		opener = []string{"xdg-open"}
	default:
		return nil
	}
	return func(url string) error {
		cmd := exec.Command(opener[0], append(opener[1:], url)...)
		if err := cmd.Start(); err != nil {
			return errors.New(opener[0] + " cannot be run: copy the URL with c")
		}
		// It ends with the opener, which the user's browser may be. Its exit code
		// says nothing that the user does not see.
		go func() { _ = cmd.Wait() }()
		return nil
	}
}
