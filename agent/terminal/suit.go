package terminal

import (
	"os"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

// Suit returns cfg for the streams that it will be shown on: Live for a person
// who sees both, else Plain. A cfg of another mode than Plain is only given its
// streams.
func Suit(cfg Config, stdout, stderr *os.File) Config {
	cfg.Stdout, cfg.Stderr = stdout, stderr
	if cfg.Mode != Plain || !term.IsTerminal(int(stdout.Fd())) || !term.IsTerminal(int(stderr.Fd())) {
		return cfg
	}
	cfg.Mode = Live
	cfg.Renderer = lipgloss.NewRenderer(stderr)
	cfg.Width = func() int {
		width, _, err := term.GetSize(int(stderr.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
	return cfg
}
