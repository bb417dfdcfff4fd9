package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"share/relay/admin"
	"share/tunnel/cmdline"
)

// domains are the commands that say which domains of others lead here.
func (o *operator) domains() *cli.Command {
	var name string
	return o.group("domain", "let domains of others lead to tunnels",
		&cli.Command{Name: "add", Usage: "let a domain lead to a name, once its owner agrees in the DNS", ArgsUsage: "DOMAIN", Flags: []cli.Flag{
			cmdline.Text("name", "it leads to the tunnel `NAME`, which is reserved", &name),
		}, Action: o.action("DOMAIN", func(ctx context.Context, k *admin.Console, domain string) error {
			return k.AddDomain(ctx, domain, name)
		})},
		&cli.Command{Name: "ls", Usage: "list the domains", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			return k.ListDomains(ctx)
		})},
		&cli.Command{Name: "rm", Usage: "take a domain away", ArgsUsage: "DOMAIN", Action: o.action("DOMAIN", func(ctx context.Context, k *admin.Console, domain string) error {
			return k.RemoveDomain(ctx, domain)
		})})
}
