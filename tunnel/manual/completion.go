package manual

import (
	_ "embed"
	"io"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// What share completion writes. Each asks share complete.
var (
	//go:embed scripts/share.bash
	bashScript string
	//go:embed scripts/share.zsh
	zshScript string
	//go:embed scripts/share.fish
	fishScript string
	//go:embed scripts/share.ps1
	powershellScript string
)

func completionCommand() *cli.Command {
	c := cmdline.Group("completion", "write what has a shell complete commands, flags, files and names",
		script("bash", "share completion bash >~/.local/share/bash-completion/completions/share", bashScript),
		script("zsh", "share completion zsh >/usr/local/share/zsh/site-functions/_share", zshScript),
		script("fish", "share completion fish >~/.config/fish/completions/share.fish", fishScript),
		script("powershell", "share completion powershell >>$PROFILE", powershellScript),
	)
	c.Category = Category
	c.UsageText = "source <(share completion bash)\tin ~/.bashrc\n" +
		"source <(share completion zsh)\tin ~/.zshrc, behind compinit\n" +
		"share completion fish | source\tin ~/.config/fish/config.fish\n" +
		"share completion powershell | Out-String | iex\tin $PROFILE"
	return c
}

func script(shell, install, text string) *cli.Command {
	return &cli.Command{
		Name:      shell,
		Usage:     "write it for " + shell,
		UsageText: install,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return cmdline.Usage("", "%s takes no argument", shell)
			}
			_, err := io.WriteString(c.App.Writer, text)
			return err
		},
	}
}
