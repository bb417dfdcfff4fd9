package command

import (
	"context"

	"github.com/urfave/cli/v2"

	"share/relay/account"
	"share/relay/admin"
	"share/tunnel/cmdline"
)

// trusts are the commands that look after whom the relay trusts without a token.
func (o *operator) trusts() *cli.Command {
	var wish admin.NewTrust
	pin := func(flag, claim, usage string) cli.Flag {
		return cmdline.Value(flag, usage+" is `ID` (default: that of the first that comes, within 24 hours)", cmdline.Setter(func(id string) error {
			if wish.Pins == nil {
				wish.Pins = make(map[string]string)
			}
			wish.Pins[claim] = id
			return nil
		}))
	}
	flags := func(more ...cli.Flag) []cli.Flag {
		return append(more, label(&wish.Account),
			cmdline.Value("names", "its agents may have names like `PATTERN,...`, such as pr-* (default: all)", cmdline.List(&wish.Names)),
			cmdline.Value("max-tunnels", "its agents have at most `N` tunnels open (default: as many as the account may have names)", cmdline.Number(&wish.MaxTunnels, 1, 1_000_000)),
			maxExchanges(&wish.MaxExchanges), requestsPerSecond(&wish.RequestsPerSecond), bytesPerSecond(&wish.BytesPerSecond))
	}
	issuer := func(usage string) cli.Flag {
		return cmdline.Text("issuer", usage, &wish.Issuer)
	}
	add := func(kind account.Kind, want string) cli.ActionFunc {
		return o.action(want, func(ctx context.Context, k *admin.Console, subject string) error {
			if wish.Kind = kind; want != "" {
				wish.Subject = subject
			}
			return k.AddTrust(ctx, wish)
		})
	}
	return o.group("trust", "let the jobs of a CI in without a token, by who they are",
		&cli.Command{Name: "github", Usage: "trust a repository's jobs in GitHub Actions", ArgsUsage: "repo:OWNER/NAME[:REST]",
			Description: "REST narrows it to a sub of the identity token, as environment:preview; * stands for any characters.\n" +
				"The trust is pinned to the ids of repository and owner: who takes over the name of one that was moved is not let in.",
			Flags: flags(
				pin("repository-id", "repository_id", "the repository's id"),
				pin("owner-id", "repository_owner_id", "its owner's id"),
				issuer("the tokens are issued by `URL` (default: "+account.KindGitHub.DefaultIssuer()+")")),
			Action: add(account.KindGitHub, "repo:OWNER/NAME[:REST]")},
		&cli.Command{Name: "gitlab", Usage: "trust a project's jobs in GitLab CI", ArgsUsage: "project_path:OWNER/NAME[:REST]",
			Description: "REST narrows it to a sub of the identity token, as ref_type:branch:ref:main; * stands for any characters.\n" +
				"The trust is pinned to the ids of project and namespace: who takes over the path of one that was moved is not let in.",
			Flags: flags(
				pin("project-id", "project_id", "the project's id"),
				pin("namespace-id", "namespace_id", "its namespace's id"),
				issuer("the tokens are issued by `URL` (default: "+account.KindGitLab.DefaultIssuer()+")")),
			Action: add(account.KindGitLab, "project_path:OWNER/NAME[:REST]")},
		&cli.Command{Name: "oidc", Usage: "trust what another issuer says of an agent",
			Description: "The issuer must give a subject to nobody else once it is somebody's.",
			Flags: flags(
				issuer("the tokens are issued by `URL`"),
				cmdline.Text("subject", "their sub is `SUBJECT`, in which * stands for any characters", &wish.Subject)),
			Action: add(account.KindOIDC, "")},
		&cli.Command{Name: "ls", Usage: "list whom the relay trusts", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			return k.ListTrusts(ctx)
		})},
		&cli.Command{Name: "rm", Usage: "trust no more: agents that were let in are gone within seconds", ArgsUsage: "ID", Action: o.action("ID", func(ctx context.Context, k *admin.Console, id string) error {
			return k.RemoveTrust(ctx, id)
		})})
}
