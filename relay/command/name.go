package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"share/relay/admin"
)

// names are the commands that say whose names are.
func (o *operator) names() *cli.Command {
	var account string
	return o.group("name", "say whose names are",
		&cli.Command{Name: "reserve", Usage: "keep a name for an account for ever", ArgsUsage: "NAME", Flags: []cli.Flag{label(&account)}, Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
			return k.ReserveName(ctx, name, account)
		})},
		&cli.Command{Name: "ls", Usage: "list the names that have an owner", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			return k.ListNames(ctx)
		})},
		&cli.Command{Name: "release", Usage: "take a name from its account", ArgsUsage: "NAME", Action: o.action("NAME", func(ctx context.Context, k *admin.Console, name string) error {
			return k.ReleaseName(ctx, name)
		})})
}
