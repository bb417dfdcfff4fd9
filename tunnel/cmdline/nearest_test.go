package cmdline

import (
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestNearest(t *testing.T) {
	words := []string{"http", "url", "ls", "stop", "relay"}
	for s, want := range map[string]string{
		"htpp":                     "http",
		"htp":                      "http",
		"http2s":                   "http",
		"sl":                       "ls",
		"rleay":                    "relay",
		"x":                        "",
		"":                         "",
		"ab":                       "",
		"share":                    "",
		strings.Repeat("http", 99): "",
	} {
		if got := Nearest(s, words); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestNoCommand(t *testing.T) {
	commands := []*cli.Command{{Name: "http"}, {Name: "secret", Hidden: true}}
	for name, want := range map[string]string{
		"htp":    "did you mean http? See share --help",
		"secre":  "see share --help",
		"rabbit": "see share --help",
		"8080":   "write share http 8080",
	} {
		if got := NoCommand(name, commands, "share --help").Hint; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
