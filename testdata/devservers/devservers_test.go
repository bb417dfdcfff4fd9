//go:build unix

package devservers

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// need skips the test without a program, or a module of Debian's Python.
func need(t *testing.T, s server) {
	t.Helper()
	for pkg, name := range map[string]string{"django": "Django", "flask": "Flask"} {
		if s.name == name && exec.Command("/usr/bin/python3", "-c", "import "+pkg).Run() != nil {
			t.Skipf("install the Debian package python3-%s", pkg)
		}
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("install the Debian package chromium")
	}
}

// Each server is shared as it is, which has a hint come, and with the cure, which
// has none come, the page load, and a changed file arrive without a reload.
func TestServers(t *testing.T) {
	const cure = "--host-header=target"
	tests := []struct {
		server  server
		hint    string   // that comes without the cure
		args    []string // the cure
		allowed string   // or this
	}{
		{vite(), "host_refused", []string{cure}, ""},
		{next(), "hmr_refused", nil, host},
		{webpack(), "host_refused", nil, host},
		{django(), "host_refused", []string{cure}, ""},
		{flask(), "host_refused", []string{cure}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.server.name, func(t *testing.T) {
			need(t, tt.server)
			if tt.hint != "" {
				r := launch(t, tt.server, "")
				u := open(t, r.port)
				b := browse(t, u.url)
				u.hinted(tt.hint)
				b.close()
				r.stop()
			}
			r := launch(t, tt.server, tt.allowed)
			u := open(t, r.port, tt.args...)
			b := browse(t, u.url)
			b.shows("one")
			if tt.server.source != "" {
				b.mark()
				if !b.marked() {
					t.Fatal("the page takes no mark")
				}
				edit(t, filepath.Join(r.dir, tt.server.source), "one", "two")
				b.shows("two")
				if !b.marked() {
					t.Error("the page was reloaded")
				}
				u.socketed()
			}
			u.unhinted()
		})
	}
}

// webpack-dev-server looks at the origin of a WebSocket, too: the page loads with
// the target's Host, and hot reload wants more.
func TestWebpackOrigin(t *testing.T) {
	need(t, webpack())
	r := launch(t, webpack(), "")
	u := open(t, r.port, "--host-header=target")
	browse(t, u.url).shows("one")
	u.hinted("hmr_refused")
	u.unhinted("hmr_refused")
}

// With --hold, an open page rides over a restart: Vite's own client, whose pings
// are held too, reloads it when the server is back, and hot reload goes on.
func TestOpenPageOverRestart(t *testing.T) {
	need(t, vite())
	r := launch(t, vite(), "")
	u := open(t, r.port, "--host-header=target", "--hold=60s")
	b := browse(t, u.url)
	b.shows("one")
	r.stop()
	edit(t, filepath.Join(r.dir, "main.js"), "one", "two")
	r.start()
	b.shows("two")
	b.mark()
	edit(t, filepath.Join(r.dir, "main.js"), "two", "three")
	b.shows("three")
	if !b.marked() {
		t.Error("the page was reloaded")
	}
	u.unhinted()
}

// Nor do those see it who ask all the time.
func TestRestartUnderLoad(t *testing.T) {
	need(t, vite())
	r := launch(t, vite(), "")
	u := open(t, r.port, "--host-header=target", "--hold=60s")
	l := u.load(8)
	for range 3 {
		l.more(100)
		r.stop()
		r.start()
	}
	l.more(100)
	if failed := l.end(); len(failed) > 0 {
		t.Errorf("%d requests failed, the first: %s", len(failed), failed[0])
	}
	u.unhinted()
}

// Without it, the page that says so reloads itself when the server is back.
func TestFailurePageReloads(t *testing.T) {
	need(t, vite())
	r := launch(t, vite(), "")
	u := open(t, r.port, "--host-header=target")
	r.stop()
	b := browse(t, u.url)
	b.shows("Nothing listens on")
	r.start()
	b.shows("one")
	u.unhinted()
}
