package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/credential"
	"share/tunnel/cmdline"
)

func logoutCommand(p Process) *cli.Command {
	return &cli.Command{
		Name:        "logout",
		Usage:       "forget the token for a relay",
		ArgsUsage:   "[RELAY]",
		Description: "Without RELAY, it is that of share http, or the only one that there is a login for.",
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return cmdline.Usage("", "logout takes one argument, RELAY")
			}
			return p.interruptible(func(ctx context.Context) error { return p.logout(ctx, c.Args().First()) })
		},
	}
}

// logout forgets the token for the relay that arg names.
func (p *Process) logout(ctx context.Context, arg string) error {
	store, err := p.credentials()
	if err != nil {
		return err
	}
	logins, err := store.Load()
	if err != nil {
		return err
	}
	relay := ""
	if arg == "" {
		if relay, err = only(logins); err != nil {
			return err
		}
	} else {
		u, err := agent.ParseRelay(arg, true)
		if err != nil {
			return err
		}
		relay = u.String()
	}
	left, err := store.Remove(ctx, relay)
	if err != nil {
		return err
	}
	if left {
		p.note("the keyring may still have the token, and was not asked")
	}
	_, err = fmt.Fprintf(p.Stdout, "logged out of %s, which takes the token until it ends or is revoked there\n", relay)
	return err
}

// only returns the relay that is meant where none is named.
func only(logins *credential.Logins) (string, error) {
	switch {
	case logins.Default != "":
		return logins.Default, nil
	case len(logins.All) == 1:
		return logins.All[0].Relay, nil
	case len(logins.All) == 0:
		return "", notLoggedIn()
	}
	var relays []string
	for _, l := range logins.All {
		relays = append(relays, l.Relay)
	}
	return "", cmdline.Usage("name one: share logout RELAY", "there are %d logins: %s", len(relays), strings.Join(relays, ", "))
}

func notLoggedIn() error {
	return cmdline.Failed("share login RELAY keeps a token", errors.New("not logged in to any relay"))
}
