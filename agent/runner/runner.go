// Package runner tells the runner of a CI's job of the tunnel that the job shares:
// its URL, for what comes after in the job and behind it, and how it fared, for
// people.
package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"sync"

	"share/agent"
	"share/agent/terminal"
	"share/tunnel"
)

// Config says who is told, and where.
type Config struct {
	// Getenv is the job's environment: it says whether GitHub Actions runs the
	// job, and where its files are.
	Getenv func(string) string

	// Commands is where GitHub Actions reads workflow commands, a line each.
	// If nil, it gets none.
	Commands io.Writer

	// Dotenv is a file that gets the URL as SHARE_URL, as GitLab reads it by
	// artifacts:reports:dotenv. It stays, since that is after the job. If empty,
	// none is written.
	Dotenv string

	// Warn is told of what could not be written, which ends nothing.
	Warn func(message string)
}

// A Runner is told what happens to one agent. Its methods are safe for
// concurrent use.
type Runner struct {
	cfg    Config
	github *github // nil if something else runs the job, or nothing

	mu    sync.Mutex
	ready bool  // an EventReady came, guarded by mu
	tally tally // guarded by mu
}

// New returns a Runner, which opens nothing yet.
func New(cfg Config) *Runner {
	return &Runner{cfg: cfg, github: findGitHub(cfg.Getenv, cfg.Commands), tally: newTally()}
}

// Mask has the log show *** in place of token, wherever it comes from.
func (r *Runner) Mask(token string) {
	if r.github != nil {
		r.github.mask(token)
	}
}

// Show takes what happened. The first EventReady is in the runner's files when it
// returns: who then learns the URL elsewhere may end the step. They are files of
// this machine, and get some lines.
func (r *Runner) Show(e agent.Event) {
	switch {
	case e.Kind == agent.EventRequest && r.github != nil:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tally.add(e.Cause)
	case e.Kind == agent.EventReady && r.first():
		r.tell(e)
	}
}

// first reports whether it is called for the first time.
func (r *Runner) first() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.ready
	r.ready = true
	return first
}

// tell writes what e has.
func (r *Runner) tell(e agent.Event) {
	if r.github == nil && r.cfg.Dotenv == "" {
		return
	}
	if !validURL(e.URL) || !tunnel.ValidName(e.Name) {
		r.cfg.Warn(fmt.Sprintf("the job is not told of the URL: the relay gave %.200q for %.100q, which is none", e.URL, e.Name))
		return
	}
	if r.github != nil {
		r.warn(r.github.output(e.URL, e.Name))
		r.warn(r.github.summarise(opening(e)))
	}
	if r.cfg.Dotenv != "" {
		if err := terminal.WriteURL(r.cfg.Dotenv, "SHARE_URL="+e.URL); err != nil {
			r.warn(fmt.Errorf("--dotenv: %w", err))
		}
	}
}

// Close says how the run ended: by err, or without an error if that is nil.
func (r *Runner) Close(err error) {
	if r.github == nil {
		return
	}
	r.mu.Lock()
	ready, text := r.ready, r.tally.closing()
	r.mu.Unlock()
	if ready {
		// The step of an agent in the background has ended, and its files are gone.
		if err := r.github.summarise(text); !errors.Is(err, fs.ErrNotExist) {
			r.warn(err)
		}
	}
	if err != nil {
		r.github.fail(err)
	}
}

func (r *Runner) warn(err error) {
	if err != nil {
		r.cfg.Warn(err.Error())
	}
}

// maxURL is more than the longest host and a port take.
const maxURL = 512

// validURL reports whether s is a tunnel's URL: one of those characters alone,
// none of which ends a line, or means anything to a shell or in Markdown's <>.
func validURL(s string) bool {
	other := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-._~:/[]", r)
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && len(s) <= maxURL && strings.IndexFunc(s, other) < 0
}
