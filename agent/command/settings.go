package command

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/project"
	"share/tunnel/cmdline"
)

// An origin is where a value comes from.
type origin struct {
	key, value string
	where      string // a variable, or file:line:column
}

// A filler sets the flags that nobody has set before.
type filler struct {
	isSet   func(key string) bool
	set     func(key, value string) error
	origins []origin // of what was set
}

// take sets what a file says, and returns what of it names the relays, nil if
// they have been named before.
func (f *filler) take(settings []project.Setting) (relay *project.Setting, err error) {
	for _, s := range settings {
		if s.Key == "kind" || s.Key == "target" || f.isSet(s.Key) {
			continue
		}
		if err := f.set(s.Key, s.Value); err != nil {
			return nil, s.Wrong("", err)
		}
		f.origins = append(f.origins, origin{s.Key, s.Value, s.Origin()})
		if s.Key == "relay" {
			relay = &s
		}
	}
	return relay, nil
}

// fill sets from the files what the command line and the environment do not: from
// the project's file in the working folder, if there is one, and then from the
// user's own.
func (s *sharing) fill(c *cli.Context) error {
	f := &filler{isSet: c.IsSet, set: c.Set}
	file := &project.File{}
	text, err := project.Read(project.Name)
	if err == nil {
		file, err = project.Parse(project.Name, text, s.process.Getenv)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err)
	}
	user, err := s.process.userFile()
	if err != nil {
		return err
	}
	return s.take(f, nil, file, user)
}

// take sets what the tunnel says, then the defaults of its file, then the user's.
func (s *sharing) take(f *filler, tunnel []project.Setting, file, user *project.File) error {
	for _, settings := range [][]project.Setting{tunnel, file.Defaults} {
		relay, err := f.take(settings)
		if err != nil {
			return err
		}
		if relay != nil {
			s.named = relay
		}
	}
	defaults := user.Defaults
	for _, d := range defaults {
		if d.Key == "relay" {
			s.own = strings.Split(d.Value, ",")
		}
	}
	if s.process.Token("") != "" {
		// The environment's token goes before a file's.
		defaults = slices.DeleteFunc(slices.Clone(defaults), func(d project.Setting) bool { return d.Key == "token-file" })
	}
	_, err := f.take(defaults)
	return err
}

// trusted returns an error if what lets the agent in would go to a relay that
// only a project's file names, and that the user has not said to trust.
func (s *sharing) trusted() error {
	cfg := &s.agent
	if s.named == nil || cfg.Token == "" && cfg.Identity == nil {
		return nil
	}
	known, err := project.OpenTrust(s.process.StateDir).Relays()
	if err != nil {
		return cmdline.Unusable("mend it, or remove it: relays are to be trusted anew then", err)
	}
	for _, own := range s.own {
		if u, err := agent.ParseRelay(own, true); err == nil {
			known = append(known, u.String())
		}
	}
	for _, relay := range append([]agent.RelayURL{cfg.Relay}, cfg.Others...) {
		if !slices.Contains(known, relay.String()) {
			return s.named.Wrong("if you trust it, run: share config trust "+relay.String(),
				"only this file names "+relay.String()+", so your token does not go there")
		}
	}
	return nil
}

// userFile is the user's own file, an empty one if there is none.
func (p Process) userFile() (*project.File, error) {
	path := p.userPath()
	if path == "" {
		return &project.File{}, nil
	}
	text, err := project.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &project.File{Path: path}, nil
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return project.ParseUser(path, text, p.Getenv)
}

// userPath is where the user's own file may be, empty if nowhere.
func (p Process) userPath() string {
	if p.ConfigDir == "" {
		return ""
	}
	return filepath.Join(p.ConfigDir, "config.yaml")
}

// unreadable is err as an *cmdline.Error, which it may be.
func unreadable(err error) error {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return e
	}
	return cmdline.Unusable("see share config path", err)
}

// tunnelFlags returns a filler for the flags of s that a file can set. What the
// environment has is set already, but for what is one tunnel's own.
func (s *sharing) tunnelFlags() (*filler, error) {
	one := []string{"name", "domain", "random", "takeover"}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	done := map[string]bool{}
	f := &filler{isSet: func(key string) bool { return done[key] }}
	f.set = func(key, value string) error {
		done[key] = true
		return set.Set(key, value)
	}
	for _, fl := range cmdline.WithoutHeadings(s.flags()) {
		name := fl.Names()[0]
		if !slices.Contains(project.Keys(), name) {
			continue
		}
		if slices.Contains(one, name) {
			cmdline.Unset([]cli.Flag{fl})
		}
		if err := fl.Apply(set); err != nil {
			return nil, cmdline.Usage("", "%v", err)
		}
		if fl.IsSet() {
			done[name] = true
			f.origins = append(f.origins, origin{name, s.process.Getenv(cmdline.Variable(name)), cmdline.Variable(name)})
		}
	}
	return f, nil
}
