package command

import (
	"context"
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/doctor"
	"share/agent/target"
	"share/tunnel/cmdline"
)

// diagnosing is what the flags of share doctor say.
type diagnosing struct {
	process Process
	entry
	insecureTarget bool
	json           bool
}

func doctorCommand(p Process) *cli.Command {
	d := &diagnosing{process: p}
	return &cli.Command{
		Name:      "doctor",
		Usage:     "look for what keeps this machine from sharing, and say what cures it",
		ArgsUsage: "[TARGET]",
		Description: "It looks at the configuration, the way to the relay, and TARGET. It opens a tunnel of its own by a random name, and has\n" +
			"bodies flow through it for 2 s in each direction. It ends with 1 if a check has failed.",
		Action: d.run,
		Flags:  d.flags(),
	}
}

func (d *diagnosing) flags() []cli.Flag {
	toggle := cmdline.Toggle("json", "write what was found as JSON", &d.json)
	cmdline.Unset([]cli.Flag{toggle})
	return append(d.entry.flags(),
		cmdline.Toggle("insecure-target", "accept any certificate of the target", &d.insecureTarget),
		toggle)
}

func (d *diagnosing) run(c *cli.Context) error {
	if c.NArg() > 1 {
		return cmdline.Usage("", "doctor takes one argument, TARGET")
	}
	p := &d.process
	looking := &doctor.Doctor{
		Agent:          agent.Config{Insecure: d.insecure, Proxy: p.Proxy, StateDir: p.StateDir, Version: p.Version},
		EnvToken:       p.Token(d.tokenFile),
		TokenFile:      d.tokenFile,
		InsecureTarget: d.insecureTarget,
		Machine:        doctor.Local(p.Getenv),
	}
	var err error
	if c.NArg() == 1 {
		if looking.Target, err = target.Parse(c.Args().First()); err != nil {
			return cmdline.Usage("", "%v", err)
		}
	}
	if len(d.relays) == 0 {
		looking.LoginsErr = d.findDefault(p)
	}
	for _, relay := range d.relays {
		u, err := agent.ParseRelay(relay, d.insecure)
		if err != nil {
			return err
		}
		looking.Relays = append(looking.Relays, u)
	}
	if looking.LoginsErr == nil {
		looking.Logins, looking.LoginsErr = d.logins(p, looking.Relays)
	}
	if d.relayCA != "" {
		if looking.Agent.RelayCA, err = cmdline.LoadRoots(d.relayCA); err != nil {
			return err
		}
	}
	looking.Inside = func() (string, error) {
		inside, err := p.Inside(nil, looking.Target.Port)
		if err != nil {
			return "", err
		}
		return strings.Join(inside.Notes(), "; "), inside.Close()
	}
	ctx, stop := p.UntilSignal(func() {})
	defer stop()
	results := looking.Run(ctx)
	if sig, ok := errors.AsType[cmdline.Interrupt](context.Cause(ctx)); ok {
		return cli.Exit("", 128+int(sig.Signal))
	}
	return cmdline.WriteResults(p.Stdout, results, d.json)
}
