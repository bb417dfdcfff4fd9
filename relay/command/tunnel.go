package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"share/relay/admin"
)

// tunnels are the commands that see and end what is open.
func (o *operator) tunnels() *cli.Command {
	return o.group("tunnel", "see and end the tunnels that are open",
		&cli.Command{Name: "ls", Usage: "list the tunnels", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			return k.ListTunnels(ctx)
		})},
		&cli.Command{Name: "kick", Usage: "end a tunnel: its agent stops", ArgsUsage: "NAME", Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
			return k.KickTunnel(ctx, name)
		})})
}
