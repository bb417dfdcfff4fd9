package command

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// A urlFile is where a fleet's URLs are kept, in the lines that share up writes to
// stdout. Its methods are for one goroutine.
type urlFile struct {
	file terminal.URLFile
}

func (u *urlFile) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Text("url-file", "keep a line with label and URL of each tunnel in `FILE`, from when each is ready or given up", &u.file.Path),
	}
}

// clear removes the file, so that old URLs are not taken for new ones.
func (u *urlFile) clear() error {
	return clearFile("url-file", u.file.Path)
}

// clearFile removes what a run before has left in a flag's file, if there is to be
// one.
func clearFile(flag, path string) error {
	if path == "" {
		return nil
	}
	if err := terminal.ClearURL(path); err != nil {
		return cmdline.Unusable("name a file in a folder that can be written to", fmt.Errorf("--%s: %w", flag, err))
	}
	return nil
}

// keep has the file hold the URLs of f as they are now. While there are none, it is
// not there.
func (u *urlFile) keep(f *fleet) {
	if err := u.file.Keep(strings.Join(f.urls(), "\n")); err != nil {
		f.show(agent.Event{Kind: agent.EventWarning, Message: err.Error()})
	}
}

// urls are a line for each URL of the tunnels, in the order of the file.
func (f *fleet) urls() (lines []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, label := range f.order {
		m := f.members[label]
		if m == nil || m.given() {
			continue
		}
		for _, u := range m.urls {
			lines = append(lines, terminal.Escape(label)+" "+terminal.Escape(u.url))
		}
	}
	return lines
}
