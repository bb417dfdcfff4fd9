// Package service has the system run an agent for its user, from login to logout and
// after it has ended: as a user unit of systemd, an agent of launchd, or a task of
// Windows.
package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Service is what the system is to run.
type Service struct {
	Name        string   // a DNS label; empty for the user's only one
	Program     string   // an absolute path
	Args        []string // what the program is to do
	Folder      string   // where, an absolute path
	Environment []string // NAME=value
}

// A Place is where a system keeps a user's services.
type Place struct {
	GOOS   string // linux, darwin or windows
	Home   string // the user's folder
	Config string // that for configuration on Linux; if empty, .config in Home
	State  string // that for what outlives a process
	UID    int    // the user's, on macOS
	User   string // the user, with the domain, on Windows
}

// commandTimeout bounds each command of a system: one that waits for a user's
// manager may wait for ever.
const commandTimeout = 30 * time.Second

var (
	// ErrNone is why a service cannot be looked after.
	ErrNone = errors.New("it is not installed")

	// ErrDown is why there is no more to a service than what it was told.
	ErrDown = errors.New("it does not run")
)

// A plan is how a system is told of a service: a file, and commands.
type plan struct {
	path               string
	text               string
	install, uninstall [][]string
	after              []string // what follows when the file is gone; may be empty
	status             []string
}

// label is the service as systems have it.
func (s *Service) label() string {
	if s.Name == "" {
		return "share"
	}
	return "share-" + s.Name
}

// description is what the system shows its user.
func (s *Service) description() string { return "share, service " + s.label() }

// plan returns the plan for a place.
func (s *Service) plan(p Place) (*plan, error) {
	for _, text := range append([]string{s.Program, s.Folder}, append(s.Args, s.Environment...)...) {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("%.100q has a control character, which services cannot have", text)
		}
	}
	if p.Home == "" && (p.GOOS == "darwin" || p.GOOS == "linux" && p.Config == "") {
		return nil, errors.New("the user has no folder: HOME is not set")
	}
	switch p.GOOS {
	case "linux":
		return s.systemd(p), nil
	case "darwin":
		return s.launchd(p), nil
	case "windows":
		return s.task(p), nil
	}
	return nil, fmt.Errorf("share knows no services of %s", p.GOOS)
}

// Install writes the service's file, in place of one that is there, and has the
// system run it, now and from now on. It returns the file's path. If the system
// refuses, a file that is new is removed.
func (s *Service) Install(ctx context.Context, p Place) (path string, err error) {
	plan, err := s.plan(p)
	if err != nil {
		return "", err
	}
	_, old := os.Stat(plan.path)
	if err := write(plan.path, plan.text); err != nil {
		return "", err
	}
	for _, command := range plan.install {
		if _, err := run(ctx, command); err != nil {
			if errors.Is(old, fs.ErrNotExist) {
				os.Remove(plan.path) // the error to tell is the system's
			}
			return "", err
		}
	}
	return plan.path, nil
}

// Uninstall ends the service and removes it. ErrNone is in the error's chain if there
// is none.
func (s *Service) Uninstall(ctx context.Context, p Place) error {
	plan, err := s.installed(p)
	if err != nil {
		return err
	}
	for _, command := range plan.uninstall {
		if _, err := run(ctx, command); err != nil {
			return err
		}
	}
	if err := os.Remove(plan.path); err != nil {
		return err
	}
	if len(plan.after) > 0 {
		_, err = run(ctx, plan.after)
	}
	return err
}

// Status returns what the system says of the service, also beside the error that this
// does not run, which has ErrDown in its chain. ErrNone is in the error's chain if there is none.
func (s *Service) Status(ctx context.Context, p Place) (string, error) {
	plan, err := s.installed(p)
	if err != nil {
		return "", err
	}
	text, err := run(ctx, plan.status)
	if _, ok := errors.AsType[*Refusal](err); ok {
		err = fmt.Errorf("service %s: %w", s.label(), ErrDown)
	}
	return text, err
}

// installed returns the plan of a service that is there.
func (s *Service) installed(p Place) (*plan, error) {
	plan, err := s.plan(p)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(plan.path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("service %s: %w", s.label(), ErrNone)
	}
	return plan, nil
}

// write replaces the file at path at once, for its owner alone.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// A Refusal is a command of the system that has ended with another code than 0.
type Refusal struct{ text string }

func (r *Refusal) Error() string { return r.text }

// run runs a command of the system and returns what it writes. If that is why it
// fails, the error has it too, and is a *Refusal.
func run(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second // for one that leaves another behind
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		// Not the error itself: it would pass for the exit code of share.
		err = &Refusal{fmt.Sprintf("%s: %v: %s", strings.Join(command, " "), exit, strings.Join(strings.Fields(string(out)), " "))}
	}
	return string(out), err
}
