package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// An account is who a relay takes the user for, as share whoami --json has it.
type account struct {
	Relay      string    `json:"relay"`
	Account    string    `json:"account"`          // empty if the relay lets in whoever can reach it
	Credential string    `json:"credential"`       // where what lets the user in comes from
	Expires    time.Time `json:"expires,omitzero"` // when that ends; zero if it does not, or the relay does not say
}

func whoamiCommand(p Process) *cli.Command {
	e, json := new(entry), false
	asJSON := cmdline.Toggle("json", "write JSON", &json)
	cmdline.Unset([]cli.Flag{asJSON}) // the environment is for what lasts
	return &cli.Command{
		Name:        "whoami",
		Usage:       "show whom the relay takes you for, and by what",
		Description: "It asks the relays that share http uses with the same flags, and shows no token.",
		Flags:       append(e.flags(), asJSON),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("name a relay with --relay", "whoami takes no argument, and not %q", c.Args().First())
			}
			return p.interruptible(func(ctx context.Context) error {
				accounts, err := e.ask(ctx, &p)
				if err != nil {
					return err
				}
				if json {
					return writeJSON(p.Stdout, accounts)
				}
				return writeAccounts(p.Stdout, accounts)
			})
		},
	}
}

// ask asks each relay.
func (e *entry) ask(ctx context.Context, p *Process) (accounts []account, err error) {
	var cfg agent.Config
	if err := e.enter(p, &cfg); err != nil {
		return nil, err
	}
	if len(e.relays) == 0 {
		return nil, notLoggedIn()
	}
	for _, relay := range append([]agent.RelayURL{cfg.Relay}, cfg.Others...) {
		one := cfg
		one.Relay = relay
		sight, err := agent.Look(ctx, one)
		if err != nil {
			return nil, err
		}
		p.note(sight.Warning)
		accounts = append(accounts, account{relay.String(), sight.Account, e.source(p, &cfg, relay), sight.Expires})
	}
	return accounts, nil
}

func writeAccounts(w io.Writer, accounts []account) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RELAY\tACCOUNT\tEXPIRES\tCREDENTIAL") // an error stays for Flush
	for _, a := range accounts {
		expires := "-" // it does not, or the relay is too old to say
		if !a.Expires.IsZero() {
			expires = day(a.Expires)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", a.Relay, cmp.Or(terminal.Escape(a.Account), "-"), expires, terminal.Escape(a.Credential))
	}
	return tw.Flush()
}
