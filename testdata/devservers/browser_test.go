//go:build unix

package devservers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"share/testdata/bench/rig"
)

// host is the visitors': no server knows it, as it knows names of localhost.
const host = "x.share.test"

// A tunnel leads to a server, from https.
type tunnel struct {
	t     *testing.T
	url   string
	agent *rig.Agent
}

// open shares what listens on port. args go to the agent.
func open(t *testing.T, port string, args ...string) *tunnel {
	t.Helper()
	dir, bin := t.TempDir(), os.Getenv("DEVSERVERS_SHARE")
	cert, key, err := rig.WriteCert(dir, host)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := rig.StartRelay(t.Context(), bin, "--domain", "share.test", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, "relay", relay.Process)
	args = append([]string{port, "--relay", "https://" + relay.Doors["https"], "--relay-ca", cert, "--name", "x"}, args...)
	agent, err := rig.StartAgent(t.Context(), bin, filepath.Join(dir, "state"), args...)
	if err != nil {
		t.Fatalf("%v\nrelay: %s", err, relay.Log())
	}
	closeWith(t, "agent", agent.Process)
	_, door, err := net.SplitHostPort(relay.Doors["https"])
	if err != nil {
		t.Fatal(err)
	}
	return &tunnel{t, "https://" + host + ":" + door + "/", agent}
}

// closeWith ends a process with the test, and shows its log if that failed.
func closeWith(t *testing.T, name string, p *rig.Process) {
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			fmt.Fprintf(t.Output(), "%s:\n%s\n", name, p.Log())
		}
	})
}

// hinted waits until the agent has told a symptom.
func (u *tunnel) hinted(code string) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), patience)
	defer cancel()
	if err := u.agent.Await(ctx, func(line []byte) bool { return strings.Contains(string(line), `"code":"`+code+`"`) }); err != nil {
		u.t.Fatalf("no hint %s: %v", code, err)
	}
}

// socketed waits until a WebSocket has come through the tunnel: a page can reach
// a server on this machine beside it.
func (u *tunnel) socketed() {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), patience)
	defer cancel()
	if err := u.agent.Await(ctx, func(line []byte) bool { return strings.Contains(string(line), `"protocol":"websocket"`) }); err != nil {
		u.t.Fatalf("no WebSocket came through the tunnel: %v", err)
	}
}

// unhinted fails the test if the agent has told more than these symptoms.
func (u *tunnel) unhinted(but ...string) {
	u.t.Helper()
	log := u.agent.Log()
	for _, code := range but {
		log = strings.ReplaceAll(log, `"code":"`+code+`"`, "")
	}
	if strings.Contains(log, `"code":"`) {
		u.t.Errorf("there is a hint that is not due:\n%s", log)
	}
}

// A tab is one of a headless Chromium.
type tab struct {
	t     *testing.T
	ctx   context.Context // a page lives in one
	close func()          // ends the browser
}

// browse opens a page in a browser of its own, in which names of the relay's
// domain are loopback.
func browse(t *testing.T, url string) *tab {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{chromedp.Headless, chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("host-resolver-rules", "MAP *.share.test 127.0.0.1")}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(leave)
	b := &tab{t, ctx, stop}
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	return b
}

// script runs JavaScript that gives a text, "" if it fails: a page that reloads
// has none to run it.
func (b *tab) script(code string) string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](code))
	if err != nil {
		return ""
	}
	return text
}

// shows waits until the page has a text.
func (b *tab) shows(text string) {
	b.t.Helper()
	got := ""
	until(b.t, fmt.Sprintf("the page shows %q", text), func() bool {
		got = b.script("document.body ? document.body.innerText : ''")
		return strings.Contains(got, text)
	})
}

// mark leaves a mark in the page that a reload removes; marked looks for it.
func (b *tab) mark() { b.script("window.marked = 'yes'") }

func (b *tab) marked() bool { return b.script("window.marked || ''") == "yes" }
