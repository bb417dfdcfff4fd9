//go:build unix

package terminal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// project writes a file of tunnels to target, demo and others, and gives its path.
func project(t *testing.T, path, target string, others ...string) string {
	t.Helper()
	text := "version: 1\ntunnels:\n"
	for _, label := range append([]string{"demo"}, others...) {
		text += fmt.Sprintf("  %s: {target: %q, name: %s}\n", label, target, label)
	}
	// Whoever watches sees it whole.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A row for each tunnel of a file, and a line for each request that says to which it
// went. Both follow the file, and the target.
func TestSeveral(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	file := project(t, filepath.Join(t.TempDir(), "share.yaml"), target.addr, "api")
	p := open(t, 100, 30, nil, "up -f "+file+" --relay http://"+relay.addr)
	p.shows(`● online +2 tunnels · http://`+relay.addr,
		`● demo +http://demo.localhost:\d+  → `+target.addr+` \(up\)`, `● api +http://api.localhost:\d+ `,
		`^  / filter · p pause · \? help · ctrl\+c stop$`)
	client := newClient(t)
	visit(client, relay.addr, "/one")
	p.shows(`^  \d\d:\d\d:\d\d demo GET  200 /one .* ms +6 B$`, `● demo .* 1 request +│`, `Requests +1 · 0 open · `)
	target.stop()
	visit(client, relay.addr, "/down")
	p.shows(`demo GET  502 /down .* nothing listens on `+target.addr, `○ 1 of 2 online`, `○ demo .*\(down \d\d:\d\d\)`)
	target.start()
	p.shows(`● online +2 tunnels`)

	project(t, file, target.addr)
	p.until("the row of a tunnel that is released goes", func() bool { return !strings.Contains(p.visible(), "api.localhost") })
	p.shows(`● online +1 tunnel ·`, `c copy · q qr · / filter`)
	project(t, file, target.addr, "more")
	p.shows(`● more +http://more.localhost`)
	if got := p.screen(); lines(got, "╭") != 1 || lines(got, "╰") != 1 {
		t.Errorf("the box is there more than once:\n%s", got)
	}
	p.quit()
	p.shows(`○ stopped +interrupt`, `^Stopped: interrupt$`)
}

// In a window with no room for all tunnels the box says how many there are more, and
// requests still have lines above it.
func TestMoreThanRows(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	var others []string
	for i := range 20 {
		others = append(others, fmt.Sprintf("tunnel%d", i))
	}
	file := project(t, filepath.Join(t.TempDir(), "share.yaml"), target.addr, others...)
	p := open(t, 40, 20, nil, "up -f "+file+" --relay http://"+relay.addr)
	p.shows(`● online 21 tunnels`, `and \d+ more: share ls lists them`)
	visit(newClient(t), relay.addr, "/a/path/that/is/longer/than/the/window")
	p.shows(`^demo     GET  200 /a/path`)
	for line := range strings.Lines(p.visible()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 40 {
			t.Errorf("got a line of %d: %q", n, line)
		}
	}
	p.tmux("resize-window", "-x", "100", "-y", "60")
	p.shows(`● tunnel19 +http://tunnel19.localhost`)
	p.quit()
}
