package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/project"
	"share/tunnel/cmdline"
)

// configCommand are the commands about files that say what to share and how.
func configCommand(p Process) *cli.Command {
	return cmdline.Group("config", "look at share.yaml and the user's own file",
		configCheck(p), configPath(p), configShow(p), configSchema(p), configTrust(p), configDistrust(p))
}

func configCheck(p Process) *cli.Command {
	var file string
	return &cli.Command{
		Name:  "check",
		Usage: "say what is wrong with the file",
		Flags: []cli.Flag{fileFlag(&file)},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("name the file with -f", "check takes no argument")
			}
			return checkFile(p, file, nil)
		},
	}
}

// checkFile reads the file as share up does, and says how many tunnels it has.
func checkFile(p Process, file string, given []origin) error {
	plans, err := readPlans(p, file, given)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%s: %d tunnels\n", file, len(plans))
	return err
}

// readPlans are the plans of a file, which are not run.
func readPlans(p Process, file string, given []origin) ([]*plan, error) {
	text, err := project.Read(file)
	if err != nil {
		return nil, missing(err)
	}
	planner := &planner{process: p, file: file, given: given, show: func(agent.Event) {},
		dial: func(context.Context) (net.Conn, error) { return nil, net.ErrClosed }}
	return planner.plans(text)
}

func configPath(p Process) *cli.Command {
	return &cli.Command{
		Name:  "path",
		Usage: "show where the files are",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("", "path takes no argument")
			}
			here, err := filepath.Abs(project.Name)
			if err != nil {
				return err
			}
			for _, f := range []struct{ what, path string }{{"project", here}, {"user", p.userPath()}} {
				if f.path == "" {
					continue
				}
				note := ""
				if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
					note = " (there is none)"
				}
				if _, err := fmt.Fprintf(p.Stdout, "%s %s%s\n", f.what, f.path, note); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func configShow(p Process) *cli.Command {
	var file string
	var origins bool
	return &cli.Command{
		Name:        "show",
		Usage:       "show what the tunnels of the file come to",
		Description: "Each line is a tunnel's label, a key, and its value. What is not shown has its default.",
		Flags: []cli.Flag{
			fileFlag(&file),
			cmdline.Toggle("origin", "show where each value comes from", &origins),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("name the file with -f", "show takes no argument")
			}
			plans, err := readPlans(p, file, nil)
			if err != nil {
				return err
			}
			_, err = io.WriteString(p.Stdout, lines(plans, origins))
			return err
		},
	}
}

func configSchema(p Process) *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "write a JSON Schema of share.yaml, for editors",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("", "schema takes no argument")
			}
			_, err := p.Stdout.Write(project.Schema())
			return err
		},
	}
}

func configTrust(p Process) *cli.Command {
	return &cli.Command{
		Name:      "trust",
		Usage:     "let a relay that only a project's file names have your token",
		ArgsUsage: "RELAY",
		Action: func(c *cli.Context) error {
			relay, err := oneRelay(c)
			if err != nil {
				return err
			}
			if err := project.OpenTrust(p.StateDir).Add(c.Context, relay); err != nil {
				return cmdline.Unusable("check the state folder", err)
			}
			_, err = fmt.Fprintf(p.Stdout, "%s is trusted with your token\n", relay)
			return err
		},
	}
}

func configDistrust(p Process) *cli.Command {
	return &cli.Command{
		Name:      "distrust",
		Usage:     "take that back",
		ArgsUsage: "RELAY",
		Action: func(c *cli.Context) error {
			relay, err := oneRelay(c)
			if err != nil {
				return err
			}
			was, err := project.OpenTrust(p.StateDir).Remove(c.Context, relay)
			switch {
			case err != nil:
				return cmdline.Unusable("check the state folder", err)
			case !was:
				return cmdline.Usage("", "%s was not trusted", relay)
			}
			_, err = fmt.Fprintf(p.Stdout, "%s is not trusted any more\n", relay)
			return err
		},
	}
}

// oneRelay is the relay that the command line names, as it is kept.
func oneRelay(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", cmdline.Usage("write share config "+c.Command.Name+" share.example.com", "name one relay")
	}
	u, err := agent.ParseRelay(c.Args().First(), true)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}
