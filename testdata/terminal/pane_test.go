//go:build unix

package terminal

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds each wait: what takes longer has failed.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if dir, err := scratch(); err == nil {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// scratch is a folder for what all tests share.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "terminal") })

// binary is the command, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "share")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build share: %v\n%s", err, out)
	}
	return path, nil
})

// A pane is a window of tmux in which a shell has run one command.
type pane struct {
	t      *testing.T
	socket string
}

// open starts command, of which the first word is the program's, in a window of a
// tmux of its own. After its end the window says how it ended, and whether the
// terminal is what it was.
func open(t *testing.T, width, height int, env []string, command string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &pane{t, filepath.Join(dir, "tmux")}
	script := fmt.Sprintf("trap : INT\n%s %s\necho ended with $?\nstty -a | grep -q ' icanon' && stty -a | grep -q ' echo ' && echo terminal is sane\nexec cat\n", bin, command)
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := append([]string{"SHARE_STATE_DIR=" + filepath.Join(dir, "state"), "LC_ALL=C.UTF-8", "TZ=UTC"}, env...)
	args := []string{"-S", p.socket, "-f", "/dev/null", "-u", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}
	for _, v := range vars {
		args = append(args, "-e", v)
	}
	cmd := exec.Command("tmux", append(args, "exec sh "+file)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the window:\n%s", p.screen())
		}
		p.tmux("kill-server")
	})
	return p
}

// tmux runs a command of tmux's and gives its output.
func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Errorf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// screen is what the window shows, with what has scrolled away.
func (p *pane) screen() string { return p.tmux("capture-pane", "-p", "-S", "-") }

// visible is what the window shows.
func (p *pane) visible() string { return p.tmux("capture-pane", "-p") }

func (p *pane) press(keys ...string) {
	for _, k := range keys {
		p.tmux("send-keys", k)
	}
}

// shows waits until the window's text is like each of res.
func (p *pane) shows(res ...string) {
	p.t.Helper()
	for _, re := range res {
		want := regexp.MustCompile("(?m)" + re)
		p.until("the window shows "+re, func() bool { return want.MatchString(p.screen()) })
	}
}

// signal sends the program a signal.
func (p *pane) signal(sig syscall.Signal) {
	p.t.Helper()
	shell := strings.TrimSpace(p.tmux("display-message", "-p", "#{pane_pid}"))
	out, err := exec.Command("pgrep", "-P", shell).Output()
	if err != nil {
		p.t.Fatalf("pgrep: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		p.t.Fatalf("pgrep: %v", err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pane) until(what string, is func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// quit stops the command by ctrl+c.
func (p *pane) quit() {
	p.t.Helper()
	p.press("C-c")
	p.shows("^ended with 0$", "^terminal is sane$")
}

// ports hands out those that nobody listens at. They are below those that systems
// hand out, and are given once: no other test and no other program comes upon one by
// chance.
var ports struct {
	sync.Mutex
	last int // guarded by Mutex
}

// freeAddr is an address on loopback that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	const low, high = 10000, 32000
	ports.Lock()
	defer ports.Unlock()
	// A process that is started has all files until it runs its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for range 100 {
		if ports.last++; ports.last <= low || ports.last >= high {
			ports.last = low + rand.IntN(high-low)
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports.last)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// A daemon is a relay beside the test.
type daemon struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

func startRelay(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{t: t, addr: freeAddr(t)}
	d.start()
	t.Cleanup(d.stop)
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	bin, err := binary()
	if err != nil {
		d.t.Fatal(err)
	}
	d.cmd = exec.Command(bin, "relay", "--http", d.addr)
	d.cmd.Env = append(os.Environ(), "SHARE_STATE_DIR="+d.t.TempDir())
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) stop() {
	if d.cmd != nil {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		d.cmd = nil
	}
}

// lines counts the lines of text that are like re.
func lines(text, re string) (n int) {
	like := regexp.MustCompile(re)
	for line := range strings.Lines(text) {
		if like.MatchString(line) {
			n++
		}
	}
	return n
}
