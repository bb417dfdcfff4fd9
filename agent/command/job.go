package command

import (
	"io"
	"os"

	"share/agent"
	"share/agent/runner"
	"share/agent/terminal"
)

// A job is that of a CI which the command is a part of, if it is of any.
type job struct {
	dotenv         string // a file, empty if there is none
	*runner.Runner        // of the job, once it is open
}

// open finds the job's runner. It gets commands only where stderr is for people:
// with --json that has nothing but JSON.
func (j *job) open(p Process, json bool, view *terminal.View) {
	cfg := runner.Config{
		Getenv: p.Getenv,
		Dotenv: j.dotenv,
		Warn:   func(message string) { view.Show(agent.Event{Kind: agent.EventWarning, Message: message}) },
	}
	if !json {
		cfg.Commands = commandsTo(p.Stderr)
	}
	j.Runner = runner.New(cfg)
}

// quote has a runner that reads what is shown take none of it for a command. With
// --quiet that is as it is, a program's own commands among it.
func (j *job) quote(p Process, shown *terminal.Config) {
	if reads(p.Getenv) && (shown.Mode == terminal.Plain || shown.Mode == terminal.JSON) {
		shown.Stdout = runner.Quoting{W: shown.Stdout, JSON: shown.Mode == terminal.JSON}
		shown.Stderr = runner.Quoting{W: shown.Stderr, JSON: shown.Mode == terminal.JSON}
	}
}

// reads reports whether the runner of GitHub Actions may read what is written.
func reads(getenv func(string) string) bool { return getenv("GITHUB_ACTIONS") == "true" }

// commandsTo returns where a runner reads commands, nil if it does not read
// stderr: it does so by a pipe or a socket. In a file that a step keeps, a token
// that is to be masked would be shown.
func commandsTo(stderr *os.File) io.Writer {
	info, err := stderr.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return nil
	}
	return stderr
}

// Report writes err, which no view shows, to stderr, and returns the exit code that
// it means: 0 if it is nil. In a job of a CI it is marked as what failed.
func Report(getenv func(string) string, stderr *os.File, err error) (code int) {
	runner.New(runner.Config{Getenv: getenv, Commands: commandsTo(stderr)}).Close(err)
	if reads(getenv) {
		return terminal.Report(runner.Quoting{W: stderr}, err)
	}
	return terminal.Report(stderr, err)
}
