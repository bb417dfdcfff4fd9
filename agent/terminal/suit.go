package terminal

import (
	"os"
	"runtime"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

// Streams are a process's, and what it knows of the terminal behind them.
type Streams struct {
	Stdin, Stdout, Stderr *os.File
	Getenv                func(string) string
}

// Suit returns cfg for the streams that it will be shown on: Live for a person
// who sees both outputs, else Plain. A cfg of another mode than Plain is only
// given its streams. Live heeds keys if Stdin is a terminal; whoever wants its
// input for another purpose sets it to nil.
func Suit(cfg Config, s Streams) Config {
	cfg.Stdout, cfg.Stderr = s.Stdout, s.Stderr
	if cfg.Mode != Plain || !isTerminal(s.Stdout) || !isTerminal(s.Stderr) {
		return cfg
	}
	cfg.Mode = Live
	cfg.Renderer = lipgloss.NewRenderer(s.Stderr)
	cfg.Width = func() int {
		width, _, err := term.GetSize(int(s.Stderr.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
	cfg.Term = s.Getenv("TERM")
	if cfg.Term == "" && runtime.GOOS == "windows" {
		cfg.Term = "xterm-256color" // its consoles have no such name
	}
	cfg.ASCII = cfg.Term == "dumb" || !unicodeLocale(s.Getenv)
	if cfg.Term == "" || cfg.Term == "dumb" {
		return cfg
	}
	cfg.Terminal = s.Stderr
	if s.Stdin != nil && isTerminal(s.Stdin) {
		cfg.Keys = s.Stdin
	}
	return cfg
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// unicodeLocale reports whether the locale's characters are UTF-8, as they are
// taken to be if none is set.
func unicodeLocale(getenv func(string) string) bool {
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return true
}
