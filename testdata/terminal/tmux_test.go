//go:build unix

package terminal

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// A program is what is shared: it can go and come back.
type program struct {
	t    *testing.T
	addr string
	srv  *http.Server
	wg   sync.WaitGroup
}

func startProgram(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, addr: freeAddr(t)}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *program) start() {
	p.t.Helper()
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/missing":
			w.WriteHeader(404)
		case r.URL.Path == "/choosy" && r.Host != p.addr: // as Vite does
			w.WriteHeader(403)
			fmt.Fprintf(w, "Blocked request. This host (%q) is not allowed.\n", r.Host)
			return
		}
		io.WriteString(w, "hello\n")
	})}
	p.wg.Go(func() { p.srv.Serve(ln) })
}

func (p *program) stop() {
	p.srv.Close()
	p.wg.Wait()
}

// visit sends a request to the tunnel demo at a relay and gives the status, 0 if
// there was no answer.
func visit(client *http.Client, relay, path string) int {
	req, err := http.NewRequest("GET", "http://"+relay+path, nil)
	if err != nil {
		return 0
	}
	req.Host = "demo.localhost"
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// newClient is a visitor whose connections end with t.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func share(target, relay string) string {
	return fmt.Sprintf("http %s --relay http://%s --name demo", target, relay)
}

func TestFirstMinute(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online +http://`+relay.addr+`( · [0-9.]+ ms)? +│`, `URL +http://demo.localhost:\d+ → `+target.addr+` \(up\)`, `o open|c copy · q qr · / filter · p pause · \? help · ctrl\+c stop`)
	client := newClient(t)
	visit(client, relay.addr, "/")
	visit(client, relay.addr, "/missing")
	p.shows(`^  \d\d:\d\d:\d\d GET  200 / .* ms +6 B$`, `^  \d\d:\d\d:\d\d GET  404 /missing `, `Requests +2 · 0 open · `)
	if got := p.screen(); lines(got, "╭") != 1 || lines(got, "╰") != 1 {
		t.Errorf("the box is there more than once:\n%s", got)
	}
	p.press("q")
	p.shows("▀▀▀▀▀▀")
	p.press("q")
	p.until("the QR code is gone", func() bool { return !strings.Contains(p.visible(), "▀▀▀▀▀▀") })
	p.quit()
	p.shows(`○ stopped +interrupt`, `^Stopped: interrupt$`)
}

// What a target that refuses the visitors' Host needs is a key, from when it does.
func TestHostKey(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	client := newClient(t)
	visit(client, relay.addr, "/")
	p.shows(`GET  200 / `)
	if got := p.screen(); strings.Contains(got, "own host") {
		t.Errorf("got the key before there is use for it:\n%s", got)
	}
	if got := visit(client, relay.addr, "/choosy"); got != 403 {
		t.Fatalf("got %d, want 403", got)
	}
	p.shows(`^Warning: Vite refuses the Host that visitors send: share it with --host-header target, or press h$`, ` · h own host · `)
	p.press("h")
	p.shows(`│ Host +the target sees its own · for good: --host-header target +│`)
	if got := visit(client, relay.addr, "/choosy"); got != 200 {
		t.Errorf("got %d, want 200", got)
	}
	p.shows(`GET  200 /choosy`, `Requests +3 · `)
	if got := p.visible(); lines(got, "╭") != 1 || strings.Contains(got, "own host") {
		t.Errorf("got\n%s\nwant one box, and the key gone", got)
	}
	p.quit()
}

func TestTargetDownAndUp(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	client := newClient(t)
	visit(client, relay.addr, "/")
	target.stop()
	if got := visit(client, relay.addr, "/down"); got != 502 {
		t.Fatalf("got %d, want 502", got)
	}
	p.shows(`GET  502 /down .* nothing listens on `+target.addr, `○ target down +nothing listens on `+target.addr+` since \d\d:\d\d`, `\(down \d\d:\d\d\)`, `Start it, or share another port`)
	target.start()
	p.shows(`● online`, `\(up\)`)
	p.quit()
}

func TestRelayGoneAndBack(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	relay.stop()
	p.shows(`○ reconnecting +to http://` + relay.addr + ` · attempt \d+`)
	relay.start()
	p.shows(`● online`)
	if got := visit(newClient(t), relay.addr, "/"); got != 200 {
		t.Errorf("got %d", got)
	}
	p.quit()
}

// All requests are counted, those whose lines nobody could read as well, and the
// box stays where it is.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	client := newClient(t)
	const workers, each = 20, 150
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			pace := time.NewTicker(time.Second / (1000 / workers))
			defer pace.Stop()
			for range each {
				<-pace.C
				if got := visit(client, relay.addr, "/many"); got != 200 {
					t.Errorf("got %d", got)
				}
			}
		})
	}
	wg.Wait()
	p.shows(`Requests +3,000 · 0 open`)
	got := p.screen()
	if lines(got, "╭") != 1 || lines(got, "GET  200 /many") < 100 {
		t.Errorf("got\n%s\nwant one box below the lines", got)
	}
	if visible := strings.Split(strings.TrimRight(p.visible(), "\n"), "\n"); !strings.Contains(visible[len(visible)-1], "ctrl+c") {
		t.Errorf("got %q below all, want the keys", visible[len(visible)-1])
	}
	p.quit()
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 40, 24, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	visit(newClient(t), relay.addr, "/a/path/that/is/longer/than/the/window")
	p.shows(`^GET  200 /a/path`, `p95`)
	for line := range strings.Lines(p.visible()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 40 {
			t.Errorf("got a line of %d: %q", n, line)
		}
	}
	p.tmux("resize-window", "-x", "100", "-y", "40")
	p.shows(`URL +http://demo.localhost`)
	p.quit()
}

func TestNoColour(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 80, 24, []string{"NO_COLOR=1"}, share(target.addr, relay.addr))
	p.shows(`● online`)
	visit(newClient(t), relay.addr, "/")
	p.shows(`GET  200 /`)
	if got := p.tmux("capture-pane", "-e", "-p"); strings.Contains(got, "\x1b[3") || strings.Contains(got, "\x1b[1") {
		t.Errorf("got colours: %q", got)
	}
	p.quit()
}

// A command has the terminal's keys. When all was stopped and goes on, there is a
// new box below what others wrote meanwhile.
func TestCommandGoesOn(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr)+" -- cat")
	p.shows(`● online`)
	if got := p.screen(); strings.Contains(got, "ctrl+c") {
		t.Errorf("got keys, which the command has:\n%s", got)
	}
	p.press("typed", "Enter")
	p.shows(`^\[cat\] typed$`)
	p.signal(syscall.SIGSTOP)
	p.signal(syscall.SIGCONT)
	p.until("there is a new box", func() bool { return lines(p.screen(), "╭") == 2 })
	visit(newClient(t), relay.addr, "/after")
	p.shows(`GET  200 /after`)
	if got := p.screen(); lines(got, "╭") != 2 {
		t.Errorf("got\n%s\nwant one new box", got)
	}
	p.press("C-c")
	p.shows("^ended with 130$", "^terminal is sane$")
}

// In the background the agent goes on, with lines and no box: the terminal is the
// shell's. The box is back in the foreground.
func TestBackground(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 40, nil, "version; exec sh -i")
	p.shows(`^[#$]`)
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t)
	p.press(bin+" "+share(target.addr, relay.addr)+" &", "Enter")
	p.shows(`● Ready`)
	if got := visit(client, relay.addr, "/behind"); got != 200 {
		t.Errorf("got %d", got)
	}
	p.shows(`200 GET .*/behind$`)
	p.press("fg", "Enter")
	p.shows(`● online`, `Requests +1 · 0 open`)
	p.press("C-z")
	p.shows(`Stopped`)
	p.press("bg", "Enter")
	p.until("the agent goes on", func() bool { return visit(client, relay.addr, "/again") == 200 })
	p.shows(`200 GET .*/again$`)
	p.press("fg", "Enter")
	p.shows(`Requests +2 · 0 open`)
	p.press("C-c")
	p.shows(`^Stopped: interrupt$`)
	p.press("stty -a | grep -o ' icanon'", "Enter")
	p.shows(`^ icanon$`)
}

// Where no shell could have the agent go on, ctrl+z does not stop it.
func TestNothingStops(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	p := open(t, 100, 30, nil, share(target.addr, relay.addr))
	p.shows(`● online`)
	p.press("C-z", "?")
	p.shows(`show the URL as a QR code`)
	p.quit()
}
