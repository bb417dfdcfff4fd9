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
	p := &s.process
	streams := terminal.Streams{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Getenv: p.Getenv}
	if len(s.beside.command) > 0 {
		streams.Stdin = nil
	}
	return streams
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
