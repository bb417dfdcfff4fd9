package command

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"share/relay/account"
	"share/relay/admin"
	"share/tunnel/cmdline"
)

// tokens are the commands that look after tokens.
func (o *operator) tokens() *cli.Command {
	var (
		token   admin.NewToken
		expires time.Duration
	)
	return o.group("token", "make and revoke the tokens that let agents in, and operators",
		&cli.Command{Name: "create", Usage: "make a token for an account, and show it once", Flags: []cli.Flag{
			label(&token.Account),
			cmdline.Value("role", "the token is an operator's, for --admin: `ROLE` is admin for all, or metrics (default: it lets agents in)",
				cmdline.Choice(&token.Role, map[string]account.Role{"admin": account.RoleAdmin, "metrics": account.RoleMetrics})),
			cmdline.Value("names", "the token is good for names like `PATTERN,...`, such as pr-* (default: all)", cmdline.List(&token.Names)),
			cmdline.Value("expires", "the token ends after `TIME`, such as 90d (default: never)", cmdline.Days(&expires)),
			cmdline.Value("max-tunnels", "at most `N` tunnels are open with the token (default: as many as the account may have names)", cmdline.Number(&token.MaxTunnels, 1, 1_000_000)),
			maxExchanges(&token.MaxExchanges), requestsPerSecond(&token.RequestsPerSecond), bytesPerSecond(&token.BytesPerSecond),
		}, Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			token.Seconds = int64((expires + time.Second - 1) / time.Second)
			return k.CreateToken(ctx, token)
		})},
		&cli.Command{Name: "ls", Usage: "list the tokens, not their secrets", Action: o.action("", func(ctx context.Context, k *admin.Console, _ string) error {
			return k.ListTokens(ctx)
		})},
		&cli.Command{Name: "revoke", Usage: "revoke a token: its agents are gone within seconds", ArgsUsage: "ID", Action: o.action("ID", func(ctx context.Context, k *admin.Console, id string) error {
			return k.RevokeToken(ctx, id)
		})})
}

// label is the flag that names an account.
func label(dst *string) cli.Flag {
	return cmdline.Text("label", "the account is called `LABEL`", dst)
}

// The quotas of a token, or of a trust.

func maxExchanges(dst *int) cli.Flag {
	return cmdline.Value("max-exchanges", "at most `N` exchanges are open with it: more are answered with 503 (default: any number)", cmdline.Number(dst, 1, 1_000_000))
}

func requestsPerSecond(dst *int) cli.Flag {
	return cmdline.Value("requests-per-second", "its tunnels take `N` requests a second: more are answered with 429 (default: any number)", cmdline.Number(dst, 1, 1_000_000))
}

func bytesPerSecond(dst *int64) cli.Flag {
	return cmdline.Value("bytes-per-second", "its tunnels carry `SIZE` a second of bodies, both ways together, such as 10MiB: what is more waits (default: as much as there is)", cmdline.Size(dst, 1<<10))
}
