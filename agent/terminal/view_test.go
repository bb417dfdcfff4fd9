package terminal

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/lipgloss"

	"share/agent"
	"share/tunnel"
	"share/tunnel/cmdline"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// life is what an agent tells of a short life with a target that dies.
func life() []agent.Event {
	return []agent.Event{
		{Kind: agent.EventConnecting, Time: noon, Relay: "https://share.example.com"},
		{Kind: agent.EventTarget, Time: noon, Up: true, Since: noon},
		{Kind: agent.EventReady, Time: noon, URL: "https://abc.share.example.com", Name: "abc", Verified: true},
		{Kind: agent.EventRequest, Time: noon, ID: "1", Method: "GET", Target: "/", Status: 200, Elapsed: 1200 * time.Microsecond},
		{Kind: agent.EventRequest, Time: noon, ID: "2", Method: "GET", Target: "/a", Status: 502, Cause: tunnel.TargetRefused, Detail: "connection refused"},
		{Kind: agent.EventTarget, Time: noon, Cause: tunnel.TargetRefused, Since: noon},
		{Kind: agent.EventReconnecting, Time: noon, Reason: "the link was cut", Retry: 100 * time.Millisecond},
		{Kind: agent.EventConnecting, Time: noon, Relay: "https://share.example.com"},
		{Kind: agent.EventReconnecting, Time: noon, Reason: "the link was cut", Retry: 100 * time.Millisecond},
		{Kind: agent.EventConnecting, Time: noon, Relay: "https://share.example.com"},
		{Kind: agent.EventReady, Time: noon, URL: "https://abc.share.example.com", Name: "abc", Verified: true},
		{Kind: agent.EventWarning, Time: noon, Message: "the clock is wrong"},
		{Kind: agent.EventError, Time: noon, Code: 5, Message: "the name abc was taken over", Hint: "use another --name"},
		{Kind: agent.EventStopped, Time: noon, Code: 5, Reason: "refused by the relay"},
	}
}

// run shows events with cfg, whose outputs it sets.
func run(cfg Config, events ...agent.Event) (stdout, stderr string) {
	var out, err bytes.Buffer
	cfg.Stdout, cfg.Stderr, cfg.Target = &out, &err, "localhost:8080"
	v := newView(cfg)
	for _, e := range events {
		v.Show(e)
	}
	v.finish()
	v.run()
	return out.String(), err.String()
}

func compare(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func TestPlain(t *testing.T) {
	stdout, stderr := run(Config{Mode: Plain}, life()...)
	compare(t, "stdout", stdout, "https://abc.share.example.com\n")
	const at = "time=2026-01-02T12:00:00.000Z "
	compare(t, "stderr", stderr, strings.Join([]string{
		at + `level=INFO msg=connecting relay=https://share.example.com`,
		at + `level=INFO msg=target state=up`,
		at + `level=INFO msg=ready url=https://abc.share.example.com name=abc verified=true`,
		at + `level=INFO msg=request id=1 method=GET target=/ status=200 cause="" ms=1.2 bytes_in=0 bytes_out=0`,
		at + `level=WARN msg=request id=2 method=GET target=/a status=502 cause=target_refused ms=0 bytes_in=0 bytes_out=0 detail="connection refused" hint="Nothing listens on localhost:8080. Start it, or share another port."`,
		at + `level=WARN msg=target state=down cause=target_refused detail=""`,
		at + `level=WARN msg=reconnecting reason="the link was cut" retry_ms=100 attempt=0`,
		at + `level=INFO msg=ready url=https://abc.share.example.com name=abc verified=true`,
		at + `level=WARN msg="the clock is wrong"`,
		`share: the name abc was taken over: use another --name`,
		at + `level=INFO msg=stopped code=5 reason="refused by the relay"`,
		"",
	}, "\n"))
}

func TestQuiet(t *testing.T) {
	stdout, stderr := run(Config{Mode: Quiet}, life()...)
	compare(t, "stdout", stdout, "https://abc.share.example.com\n")
	compare(t, "stderr", stderr, "share: the name abc was taken over: use another --name\n")
}

func TestJSON(t *testing.T) {
	stdout, stderr := run(Config{Mode: JSON}, life()...)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != len(life()) {
		t.Fatalf("got %d events, want %d", len(lines), len(life()))
	}
	for i, e := range life() {
		var got struct {
			V     int
			Event string
			Time  time.Time
		}
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
		if got.V != 1 || got.Event != e.Kind.String() || !got.Time.Equal(e.Time) {
			t.Errorf("got %+v, want version 1 of %v", got, e.Kind)
		}
	}
	compare(t, "request", lines[4], `{"v":1,"event":"request","time":"2026-01-02T12:00:00.000Z","id":"2","method":"GET","target":"/a","status":502,"cause":"target_refused","detail":"connection refused","ms":0,"bytes_in":0,"bytes_out":0}`)
	for line := range strings.Lines(stderr) {
		if !json.Valid([]byte(line)) {
			t.Errorf("stderr has a line that is no JSON: %s", line)
		}
	}
	if want := `"msg":"the name abc was taken over","code":5,"hint":"use another --name"`; !strings.Contains(stderr, want) {
		t.Errorf("stderr: got %s, want it to hold %s", stderr, want)
	}
}

func TestLive(t *testing.T) {
	stdout, stderr := run(Config{Mode: Live, Width: func() int { return 80 }}, life()...)
	compare(t, "stdout", stdout, "")
	compare(t, "stderr", stderr, `Connecting to relay https://share.example.com
╭───────────────────────────────────────╮
│ ● Ready                               │
│ URL     https://abc.share.example.com │
│ Target  localhost:8080 (up)           │
│ Relay   https://share.example.com     │
╰───────────────────────────────────────╯
12:00:00 200 GET      1.2ms /
12:00:00 502 GET      0.0ms /a target_refused
  Nothing listens on localhost:8080. Start it, or share another port.
○ localhost:8080 is down: the target refused the connection
○ Reconnecting: the link was cut
● Ready again at https://abc.share.example.com
Warning: the clock is wrong
share: the name abc was taken over: use another --name
Stopped: refused by the relay
`)
}

func TestLiveNarrowAndASCII(t *testing.T) {
	long := agent.Event{Kind: agent.EventRequest, Time: noon, Method: "PROPPATCHX", Target: "/" + strings.Repeat("x", 200), Status: 502, Cause: tunnel.TargetRefused}
	for _, width := range []int{20, 40, 50, 80, 200} {
		_, stderr := run(Config{Mode: Live, ASCII: true, Width: func() int { return width }}, life()[2], long)
		if strings.IndexFunc(stderr, func(r rune) bool { return r > '~' }) >= 0 {
			t.Errorf("width %d: got characters beyond ASCII: %q", width, stderr)
		}
		if !strings.Contains(stderr, "https://abc.share.example.com") {
			t.Errorf("width %d: the URL is not whole: %s", width, stderr)
		}
		for line := range strings.Lines(stderr) {
			if strings.Contains(line, "target_refused") && width >= 40 && len(line)-1 > width {
				t.Errorf("width %d: got a line of %d: %s", width, len(line)-1, line)
			}
		}
	}
}

func TestLiveWithoutColour(t *testing.T) {
	_, stderr := run(Config{Mode: Live, Renderer: lipgloss.NewRenderer(&bytes.Buffer{})}, life()...)
	if strings.Contains(stderr, "\x1b") {
		t.Errorf("got escape sequences: %q", stderr)
	}
}

// TestNothingForged shows each mode what a hostile visitor, target and relay
// could put into an event: not a line, nor an escape, of theirs comes out.
func TestNothingForged(t *testing.T) {
	const evil = "x\nlevel=INFO msg=ready url=http://evil\r\x1b]0;owned\a\x1b[2J\u009b31m\u202e\x7f\x00\xff\"\\"
	var events []agent.Event
	for k := agent.EventConnecting; k <= agent.EventStopped; k++ {
		events = append(events, agent.Event{Kind: k, Time: noon, Relay: evil, URL: evil, Name: evil, Reason: evil, ID: evil, Method: evil,
			Target: evil, Status: 502, Cause: tunnel.TargetBadResponse, Detail: evil, Message: evil, Hint: evil})
	}
	for _, mode := range []Mode{Plain, JSON, Quiet, Live} {
		for _, e := range events {
			stdout, stderr := run(Config{Mode: mode, ASCII: true}, e)
			for _, s := range []string{stdout, stderr} {
				if strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }) >= 0 {
					t.Errorf("mode %d, %v: got %q", mode, e.Kind, s)
				}
				for line := range strings.Lines(s) {
					if strings.HasPrefix(line, "level=INFO") {
						t.Errorf("mode %d, %v: forged: %q", mode, e.Kind, s)
					}
				}
			}
		}
	}
}

func TestHintOnce(t *testing.T) {
	down := agent.Event{Kind: agent.EventRequest, Time: noon, Method: "GET", Target: "/", Status: 502, Cause: tunnel.TargetRefused}
	up := agent.Event{Kind: agent.EventTarget, Time: noon, Up: true}
	_, stderr := run(Config{Mode: Live}, down, down, down, up, down, down)
	if got := strings.Count(stderr, "Start it, or share another port."); got != 2 {
		t.Errorf("got the hint %d times, want once for each time that the target went down:\n%s", got, stderr)
	}
}

// TestShowNeverBlocks fills a view that nobody runs.
func TestShowNeverBlocks(t *testing.T) {
	var out, err bytes.Buffer
	v := newView(Config{Mode: JSON, Stdout: &out, Stderr: &err})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range maxRequests {
				v.Show(life()[3])
			}
		})
	}
	wg.Wait()
	v.Show(life()[2])
	v.finish()
	v.run()
	if got := strings.Count(out.String(), `"event":"request"`); got != maxRequests {
		t.Errorf("got %d requests, want %d", got, maxRequests)
	}
	for _, want := range []string{`"event":"ready"`, `"message":"3072 events were not shown: the output is too slow"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the events do not hold %s", want)
		}
	}
}

// TestCloseWithoutReader has a reader who stopped reading: the process must
// still be able to end, and leave no file of a URL that no longer works.
func TestCloseWithoutReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	synctest.Test(t, func(t *testing.T) {
		stuck, writing := make(chan struct{}), make(chan struct{}, 8)
		block := writer(func([]byte) { writing <- struct{}{}; <-stuck })
		v := Start(Config{Stdout: block, Stderr: block, URLFile: path})
		v.Show(life()[2])
		<-writing
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		v.Show(agent.Event{Kind: agent.EventReady, URL: "https://another.example"})
		began := time.Now()
		if code := v.Close(0, "interrupt", nil); code != 0 || time.Since(began) > 2*flushTime {
			t.Errorf("got code %d after %v", code, time.Since(began))
		}
		gone := func() {
			t.Helper()
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("got %v, want no file", err)
			}
		}
		gone()
		close(stuck)
		<-v.done
		gone()
	})
}

func TestCloseShowsTheError(t *testing.T) {
	var stdout, stderr bytes.Buffer
	v := Start(Config{Mode: JSON, Stdout: &stdout, Stderr: &stderr})
	if code := v.Close(0, "", &cmdline.Error{Code: 5, Message: "relay refused: taken", Hint: "choose another"}); code != 5 {
		t.Errorf("got code %d, want 5", code)
	}
	for _, want := range []string{`"event":"error"`, `"code":5,"message":"relay refused: taken","hint":"choose another"`, `"event":"stopped"`, `"code":5,"reason":"relay refused: taken"`} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("got %s, want it to hold %s", stdout.String(), want)
		}
	}
}

func TestURLFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	var seen string
	look := writer(func(p []byte) { b, _ := os.ReadFile(path); seen = string(b) })
	v := newView(Config{Stdout: look, Stderr: writer(func([]byte) {}), URLFile: path})
	v.Show(life()[2])
	v.finish()
	v.run()
	if want := "https://abc.share.example.com\n"; seen != want {
		t.Errorf("when the URL was printed the file held %q, want %q", seen, want)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// What Then has called finds all written that came before.
func TestThen(t *testing.T) {
	for _, mode := range []Mode{Plain, JSON, Quiet} {
		var out bytes.Buffer
		seen := []string{}
		v := newView(Config{Mode: mode, Stdout: &out, Stderr: io.Discard})
		for _, e := range life() {
			v.Show(e)
		}
		v.Then(func() { seen = append(seen, out.String()) })
		v.finish()
		v.run()
		if len(seen) != 1 || !strings.Contains(seen[0], "https://abc.share.example.com") {
			t.Errorf("mode %d: got %q, want one call, after the URL", mode, seen)
		}
	}
}

// How the agent ended is taken at once: the lines about it stand below the last
// frame, and there is one.
func TestCloseInOneBatch(t *testing.T) {
	for range 200 {
		v := newView(Config{})
		last := make(chan batch)
		go func() {
			for {
				if b := v.take(); b.closed {
					last <- b
					return
				}
			}
		}()
		close(v.done)
		v.Close(0, "", io.ErrUnexpectedEOF)
		if b := <-last; len(b.events) != 2 {
			t.Fatalf("got %+v in the last batch, want an error and the end", b.events)
		}
	}
}

// What stdout does not take is told on stderr, once until it takes more.
func TestStdoutIsFull(t *testing.T) {
	for _, tt := range []struct {
		mode Mode
		want string
	}{
		{Plain, `level=WARN msg="lines are lost: no space left on device"`},
		{JSON, `"level":"WARN","msg":"lines are lost: no space left on device"`},
		{Quiet, "share: lines are lost: no space left on device\n"},
	} {
		var stderr bytes.Buffer
		v := newView(Config{Mode: tt.mode, Stderr: &stderr})
		for _, take := range []bool{false, false, true, false} {
			v.cfg.Stdout = full(!take)
			v.flush(&output{stdout: []byte("http://x\n")})
		}
		if got := strings.Count(stderr.String(), tt.want); got != 2 || strings.Count(stderr.String(), "\n") != 2 {
			t.Errorf("mode %d: got %q, want %q twice", tt.mode, stderr.String(), tt.want)
		}
	}
}

// full is a file on a device that is full, if it is.
type full bool

func (f full) Write(p []byte) (int, error) {
	if f {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}
