package runner

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"share/agent"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// A world is what a runner gives a job.
type world struct {
	output, summary, dotenv string // files
	commands                bytes.Buffer
	*Runner

	mu       sync.Mutex
	warnings []string // guarded by mu
}

// newWorld makes the files and a Runner that is told of them. change may change
// what is known of the job, and be nil.
func newWorld(t *testing.T, change func(env map[string]string, cfg *Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{output: filepath.Join(dir, "output"), summary: filepath.Join(dir, "summary"), dotenv: filepath.Join(dir, "url.env")}
	for _, path := range []string{w.output, w.summary} {
		write(t, path, "")
	}
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": w.output, "GITHUB_STEP_SUMMARY": w.summary}
	cfg := Config{
		Getenv:   func(name string) string { return env[name] },
		Commands: &w.commands,
		Dotenv:   w.dotenv,
		Warn: func(message string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.warnings = append(w.warnings, message)
		},
	}
	if change != nil {
		change(env, &cfg)
	}
	w.Runner = New(cfg)
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// read gives what is in a file, and "" if there is none.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func compare(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func ready(url, name string) agent.Event {
	return agent.Event{Kind: agent.EventReady, URL: url, Name: name, Verified: true}
}

var failure = &cmdline.Error{Code: 4, Message: "relay refused: 100% bad\ntoken", Hint: "check SHARE_TOKEN"}

func TestRunner(t *testing.T) {
	w := newWorld(t, nil)
	write(t, w.output, "earlier=1\n")
	w.Mask("shr_secret")
	w.Show(agent.Event{Kind: agent.EventConnecting})
	compare(t, "output before the tunnel is ready", read(t, w.output), "earlier=1\n")
	w.Show(ready("https://pr-1.share.example.com", "pr-1"))
	w.Show(ready("https://pr-1.other.example.com", "pr-1"))
	compare(t, "output", read(t, w.output), "earlier=1\nurl=https://pr-1.share.example.com\nname=pr-1\n")
	compare(t, "summary when ready", read(t, w.summary), "### share\n\n<https://pr-1.share.example.com>\n")
	compare(t, "dotenv", read(t, w.dotenv), "SHARE_URL=https://pr-1.share.example.com\n")
	for _, cause := range []tunnel.Cause{tunnel.CauseNone, tunnel.TargetTimeout, tunnel.TargetRefused, tunnel.TargetClosed, tunnel.TargetRefused, 60000} {
		w.Show(agent.Event{Kind: agent.EventRequest, Cause: cause})
	}
	w.Close(failure)
	compare(t, "summary", read(t, w.summary), `### share

<https://pr-1.share.example.com>

Requests: 6, failed: 5.

| cause | requests |
| --- | ---: |
| target_refused | 2 |
| internal | 1 |
| target_closed | 1 |
| target_timeout | 1 |
`)
	compare(t, "commands", w.commands.String(), `::add-mask::shr_secret
::error::share: relay refused: 100%25 bad\x0atoken: check SHARE_TOKEN
`)
	compare(t, "dotenv at the end", read(t, w.dotenv), "SHARE_URL=https://pr-1.share.example.com\n")
	if w.warnings != nil {
		t.Errorf("got the warnings %q", w.warnings)
	}
}

func TestRunnerWithoutFailure(t *testing.T) {
	w := newWorld(t, nil)
	e := ready("http://pr-1.localhost:7070/", "pr-1")
	e.Verified = false
	w.Mask("short")
	w.Show(e)
	w.Close(nil)
	compare(t, "summary", read(t, w.summary), "### share\n\n<http://pr-1.localhost:7070/> (not verified)\n\nRequests: 0, failed: 0.\n")
	compare(t, "commands", w.commands.String(), "")
}

func TestNeverReady(t *testing.T) {
	w := newWorld(t, nil)
	w.Close(failure)
	compare(t, "output", read(t, w.output), "")
	compare(t, "summary", read(t, w.summary), "")
	compare(t, "dotenv", read(t, w.dotenv), "")
	if got := w.commands.String(); !strings.HasPrefix(got, "::error::share: relay refused") {
		t.Errorf("commands: got %q", got)
	}
}

func TestElsewhere(t *testing.T) {
	tests := []struct {
		name   string
		change func(env map[string]string, cfg *Config)
		dotenv string
	}{
		{"no CI", func(env map[string]string, cfg *Config) { delete(env, "GITHUB_ACTIONS"); cfg.Dotenv = "" }, ""},
		{"another CI", func(env map[string]string, cfg *Config) { env["GITHUB_ACTIONS"] = "false" }, "SHARE_URL=https://a.example.com\n"},
	}
	for _, tt := range tests {
		w := newWorld(t, tt.change)
		w.Mask("shr_secret")
		w.Show(ready("https://a.example.com", "a"))
		w.Show(agent.Event{Kind: agent.EventRequest})
		w.Close(failure)
		compare(t, tt.name+": output", read(t, w.output), "")
		compare(t, tt.name+": summary", read(t, w.summary), "")
		compare(t, tt.name+": commands", w.commands.String(), "")
		compare(t, tt.name+": dotenv", read(t, w.dotenv), tt.dotenv)
	}
}

// TestUnwritable has files that cannot be written: each is a warning, and keeps
// the others from nothing.
func TestUnwritable(t *testing.T) {
	tests := []struct {
		name   string
		change func(env map[string]string, cfg *Config)
		want   []string // in the warnings, in their order
	}{
		{"no output", func(env map[string]string, cfg *Config) { env["GITHUB_OUTPUT"] += ".gone" },
			[]string{"outputs url and name are not set"}},
		{"a folder", func(env map[string]string, cfg *Config) { env["GITHUB_STEP_SUMMARY"] = filepath.Dir(cfg.Dotenv) },
			[]string{"no regular file", "no regular file"}},
		{"no dotenv", func(env map[string]string, cfg *Config) { cfg.Dotenv = filepath.Join(cfg.Dotenv, "url") },
			[]string{"--dotenv: open "}},
		{"neither variable", func(env map[string]string, cfg *Config) { env["GITHUB_OUTPUT"], env["GITHUB_STEP_SUMMARY"] = "", "" }, nil},
	}
	for _, tt := range tests {
		w := newWorld(t, tt.change)
		w.Show(ready("https://a.example.com", "a"))
		w.Close(nil)
		if len(w.warnings) != len(tt.want) {
			t.Errorf("%s: got the warnings %q, want %q", tt.name, w.warnings, tt.want)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(w.warnings[i], want) {
				t.Errorf("%s: got the warning %q, want %q in it", tt.name, w.warnings[i], want)
			}
		}
		if tt.name == "no output" {
			if _, err := os.Stat(w.output + ".gone"); err == nil {
				t.Errorf("%s: a file was made that nobody reads", tt.name)
			}
			compare(t, tt.name+": dotenv", read(t, w.dotenv), "SHARE_URL=https://a.example.com\n")
		}
	}
}

// TestStepEnded has an agent that goes on behind its step, whose files the runner
// takes away.
func TestStepEnded(t *testing.T) {
	w := newWorld(t, nil)
	w.Show(ready("https://a.example.com", "a"))
	if err := os.Remove(w.summary); err != nil {
		t.Fatal(err)
	}
	w.Close(nil)
	if w.warnings != nil {
		t.Errorf("got the warnings %q", w.warnings)
	}
	if _, err := os.Stat(w.summary); err == nil {
		t.Error("a summary was made that nobody reads")
	}
}

// TestBound has a summary that is full but for a byte too few.
func TestBound(t *testing.T) {
	e := ready("https://a.example.com", "a")
	for _, room := range []int{len(opening(e)) - 1, len(opening(e))} {
		w := newWorld(t, nil)
		full := strings.Repeat("x", maxFile-room)
		write(t, w.summary, full)
		w.Show(e)
		want := full
		if room == len(opening(e)) {
			want += opening(e)
		}
		if got := read(t, w.summary); got != want {
			t.Errorf("room for %d: got %d bytes, want %d", room, len(got), len(want))
		}
		if told := len(w.warnings) == 1 && strings.Contains(w.warnings[0], "more than 1048576 bytes"); told != (want == full) {
			t.Errorf("room for %d: got the warnings %q", room, w.warnings)
		}
	}
}

// TestNothingForged has a relay that lies about the URL.
func TestNothingForged(t *testing.T) {
	tests := []agent.Event{
		ready("https://a.example.com\nname=b", "a"),
		ready("https://a.example.com\rname=b", "a"),
		ready("https://a.example.com", "a\nurl=https://evil.example.com"),
		ready("https://a.example.com> [x](https://evil.example.com) <", "a"),
		ready("https://$(id).example.com", "a"),
		ready("javascript:alert(1)", "a"),
		ready("//a.example.com", "a"),
		ready("https:///a", "a"),
		ready("https://a.example.com/"+strings.Repeat("a", maxURL), "a"),
		ready("", ""),
	}
	for _, e := range tests {
		w := newWorld(t, nil)
		w.Show(e)
		for _, path := range []string{w.output, w.summary, w.dotenv} {
			if got := read(t, path); got != "" {
				t.Errorf("%q, %q: got %q in %s", e.URL, e.Name, got, filepath.Base(path))
			}
		}
		if len(w.warnings) != 1 || strings.ContainsAny(w.warnings[0], "\r\n") {
			t.Errorf("%q, %q: got the warnings %q, want one", e.URL, e.Name, w.warnings)
		}
	}
}

// FuzzOutput states that what a runner reads from its files is what it is to
// read, or nothing.
func FuzzOutput(f *testing.F) {
	f.Add("https://pr-1.share.example.com", "pr-1")
	f.Add("http://[::1]:7070/", "a")
	f.Add("https://a<<b", "a")
	f.Add("https://a\nb=c", "a\n")
	f.Fuzz(func(t *testing.T, url, name string) {
		w := newWorld(t, nil)
		w.Show(ready(url, name))
		output, dotenv := read(t, w.output), read(t, w.dotenv)
		if output == "" && dotenv == "" && len(w.warnings) == 1 {
			return
		}
		lines := strings.Split(output, "\n")
		if len(lines) != 3 || lines[0] != "url="+url || lines[1] != "name="+name || lines[2] != "" || strings.Contains(output, "\r") {
			t.Errorf("%q, %q: got the output %q", url, name, output)
		}
		if dotenv != "SHARE_URL="+url+"\n" {
			t.Errorf("%q: got the dotenv %q", url, dotenv)
		}
	})
}

// TestManyAtOnce has many goroutines tell at once, as an agent does.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			w.Show(ready("https://a.example.com", "a"))
			for range 100 {
				w.Show(agent.Event{Kind: agent.EventRequest, Cause: tunnel.TargetRefused})
			}
		})
	}
	wg.Wait()
	w.Close(nil)
	compare(t, "output", read(t, w.output), "url=https://a.example.com\nname=a\n")
	if got, want := read(t, w.summary), "Requests: 800, failed: 800."; strings.Count(got, "<https:") != 1 || !strings.Contains(got, want) {
		t.Errorf("summary: got %s, want one URL and %s", got, want)
	}
}

// TestNobodyReads has a reader of commands who stopped reading: the process must
// still be able to end.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		w := newWorld(t, func(_ map[string]string, cfg *Config) {
			cfg.Commands = writer(func([]byte) { <-stuck })
		})
		began := time.Now()
		w.Close(failure)
		if took := time.Since(began); took != commandTime {
			t.Errorf("Close took %v, want %v", took, commandTime)
		}
		close(stuck)
	})
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
