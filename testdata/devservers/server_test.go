//go:build unix

package devservers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// A server is a development server, and what its page shows.
type server struct {
	name  string
	files map[string]string
	// command starts it at a port, in the folder of files. A host that its
	// configuration is to know, if that is the cure, is in ALLOWED.
	command func(port string) []string

	source string // what is edited, for hot reload; empty if it has none
}

// module is the script of an npm package.
func module(path string) string {
	return filepath.Join(os.Getenv("DEVSERVERS"), "node_modules", path)
}

func vite() server {
	return server{
		name: "Vite",
		files: map[string]string{
			"index.html": `<!doctype html><title>x</title><p id="app"></p><script type="module" src="/main.js"></script>`,
			"main.js":    "document.getElementById('app').textContent = 'one'\nif (import.meta.hot) import.meta.hot.accept()\n",
		},
		command: func(port string) []string {
			return []string{"node", module("vite/bin/vite.js"), "--host", "127.0.0.1", "--port", port, "--strictPort"}
		},
		source: "main.js",
	}
}

func next() server {
	return server{
		name: "Next.js",
		files: map[string]string{
			"app/layout.jsx":  "export default function Layout({ children }) { return <html><body>{children}</body></html> }\n",
			"app/page.jsx":    "export default function Page() { return <p id=\"app\">one</p> }\n",
			"package.json":    "{}",
			"next.config.mjs": "export default { turbopack: { root: process.env.DEVSERVERS }, allowedDevOrigins: process.env.ALLOWED ? [process.env.ALLOWED] : undefined }\n",
		},
		command: func(port string) []string {
			return []string{"node", module("next/dist/bin/next"), "dev", "-H", "127.0.0.1", "-p", port}
		},
		source: "app/page.jsx",
	}
}

func webpack() server {
	return server{
		name: "webpack-dev-server",
		files: map[string]string{
			"index.html":   `<!doctype html><title>x</title><p id="app"></p><script src="/main.js"></script>`,
			"src/index.js": "document.getElementById('app').textContent = 'one'\nif (module.hot) module.hot.accept()\n",
			"webpack.config.js": "module.exports = { mode: 'development', context: __dirname, entry: './src/index.js', output: { publicPath: '/' },\n" +
				"devServer: { client: { webSocketURL: 'auto://0.0.0.0:0/ws' }, static: { directory: __dirname, watch: false }, allowedHosts: process.env.ALLOWED ? [process.env.ALLOWED] : 'auto' } }\n",
		},
		command: func(port string) []string {
			return []string{"node", module("webpack/bin/webpack.js"), "serve", "--host", "127.0.0.1", "--port", port}
		},
		source: "src/index.js",
	}
}

func django() server {
	return server{
		name: "Django",
		files: map[string]string{"manage.py": `import sys
from django.conf import settings
settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse('<p id="app">one</p>'))]
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
`},
		command: func(port string) []string {
			return []string{"/usr/bin/python3", "manage.py", "runserver", "127.0.0.1:" + port}
		},
	}
}

func flask() server {
	return server{
		name: "Flask",
		files: map[string]string{"app.py": `import sys
from flask import Flask, Request
class Trusting(Request):
    trusted_hosts = ["localhost"]
app = Flask(__name__)
app.request_class = Trusting
@app.route("/")
def page():
    from flask import request
    request.host
    return '<p id="app">one</p>'
app.run(port=int(sys.argv[1]))
`},
		command: func(port string) []string { return []string{"/usr/bin/python3", "app.py", port} },
	}
}

// A running server may be stopped and started again, at its port.
type running struct {
	t       *testing.T
	server  server
	dir     string
	port    string
	allowed string // a host that its configuration knows
	cmd     *exec.Cmd
	log     *logged
}

// logged is what a server writes.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// launch starts a server and waits until it listens.
func launch(t *testing.T, s server, allowed string) *running {
	t.Helper()
	addr, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, server: s, dir: project(t, s.files), port: port, allowed: allowed, log: new(logged)}
	r.start()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			fmt.Fprintf(t.Output(), "%s:\n%s\n", s.name, r.log.text.String())
		}
	})
	return r
}

func (r *running) start() {
	r.t.Helper()
	command := r.server.command(r.port)
	r.cmd = exec.Command(command[0], command[1:]...)
	r.cmd.Dir = r.dir
	r.cmd.Env = append(os.Environ(), "ALLOWED="+r.allowed, "NEXT_TELEMETRY_DISABLED=1", "PYTHONDONTWRITEBYTECODE=1")
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	until(r.t, r.server.name+" listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+r.port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop ends the server and all that it has started.
func (r *running) stop() {
	if r.cmd == nil {
		return
	}
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	r.cmd.Wait() // it was killed
	r.cmd = nil
}

// until fails the test unless something is so in time.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(what + ": not in " + strconv.Itoa(int(patience.Seconds())) + " seconds")
		}
	}
}
