package runner

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"share/agent/terminal"
)

const (
	// maxFile is how much GitHub takes of a step's summary, and of a job's outputs.
	maxFile = 1 << 20

	// minMask is the least length of a token that is masked: a shorter one stands
	// in other words too, which would be masked with it, and an output that has
	// such a word is not passed on to other jobs.
	minMask = 8

	// commandTime is how long a reader of commands is waited for.
	commandTime = time.Second
)

// github is the runner of GitHub Actions.
type github struct {
	outputs   string    // the file of the step's outputs, empty if there is none
	summaries string    // the file of its summary, empty if there is none
	commands  io.Writer // nil if nobody reads them
}

// findGitHub returns nil if the environment is of no job of GitHub Actions.
func findGitHub(getenv func(string) string, commands io.Writer) *github {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	return &github{outputs: getenv("GITHUB_OUTPUT"), summaries: getenv("GITHUB_STEP_SUMMARY"), commands: commands}
}

// output sets the step's outputs url and name, which must have no line ends.
func (g *github) output(url, name string) error {
	if err := add(g.outputs, "url="+url+"\nname="+name+"\n"); err != nil {
		return fmt.Errorf("the job's outputs url and name are not set: %w", err)
	}
	return nil
}

// summarise adds text, which is Markdown, to the step's summary.
func (g *github) summarise(text string) error {
	if err := add(g.summaries, text); err != nil {
		return fmt.Errorf("the step's summary is not complete: %w", err)
	}
	return nil
}

// mask has the log show *** in place of token.
func (g *github) mask(token string) {
	if len(token) >= minMask {
		g.command("add-mask", token)
	}
}

// fail marks err as what failed, with what to do.
func (g *github) fail(err error) {
	var line strings.Builder
	terminal.Report(&line, err)
	g.command("error", strings.TrimSuffix(line.String(), "\n"))
}

// command gives the runner a workflow command. It does not wait for a reader who
// has stopped reading.
func (g *github) command(name, data string) {
	if g.commands == nil {
		return
	}
	line := "::" + name + "::" + strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(data) + "\n"
	done := make(chan struct{})
	go func() { // ends with the write, or else with the process
		io.WriteString(g.commands, line) // there is nowhere left to complain
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(commandTime):
	}
}

// add adds text to the file at path, if path is not empty. The runner has made the
// file: one that is gone, since its step has ended, nobody reads any more.
func add(path, text string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case info.Size()+int64(len(text)) > maxFile:
		return fmt.Errorf("%s would have more than %d bytes, which GitHub does not take", path, maxFile)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
