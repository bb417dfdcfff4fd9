package terminal

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"share/tunnel"
)

// No line is wider than the window, however narrow.
func TestVeryNarrow(t *testing.T) {
	for name, f := range moments() {
		for _, ascii := range []bool{false, true} {
			for width := 1; width <= 24; width++ {
				m := newModel(&Config{Target: "localhost:8080", Keys: os.Stdin, ASCII: ascii, Renderer: colours()})
				m.width, m.height, m.help = width, 40, true
				f.now = noon
				failed := request("PROPPATCH", "/a/long/path", 502)
				failed.Cause = tunnel.TargetRefused
				f.events = append(f.events[:len(f.events):len(f.events)], failed)
				text := strings.Join(m.take(f), "\n") + "\n" + m.draw()
				for line := range strings.Lines(ansi.Strip(text)) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
						t.Errorf("%s in %d columns: got %d in %q", name, width, n, line)
					}
				}
			}
		}
	}
}
