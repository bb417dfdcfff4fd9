package command

import (
	"strings"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// A urlFile is where a fleet's URLs are kept, in the lines that share up writes to
// stdout. Its methods are for one goroutine.
type urlFile struct {
	path string // empty if there is none
	has  string // what it was given last
}

func (u *urlFile) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Text("url-file", "keep a line with label and URL of each tunnel in `FILE`, from when each is ready or given up", &u.path),
	}
}

// clear removes the file, so that old URLs are not taken for new ones.
func (u *urlFile) clear() error {
	if u.path == "" {
		return nil
	}
	if err := terminal.ClearURL(u.path); err != nil {
		return cmdline.Unusable("--url-file wants a file in a folder that can be written to", err)
	}
	return nil
}

// keep has the file, which there is to be, hold the URLs of f as they are now. While
// there are none, it is not there.
func (u *urlFile) keep(f *fleet) {
	text := strings.Join(f.urls(), "\n")
	if text == u.has {
		return
	}
	u.has = text
	var err error
	if text == "" {
		err = terminal.ClearURL(u.path)
	} else {
		err = terminal.WriteURL(u.path, text)
	}
	if err != nil {
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
