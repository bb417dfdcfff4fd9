//go:build unix

package child

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"share/tunnel/cmdline"
)

// patience bounds each wait: what takes longer has failed.
const patience = 20 * time.Second

// A recorder keeps the lines of a program, and tells those who wait.
type recorder struct {
	mu    sync.Mutex
	lines []string      // guarded by mu; those of stderr after a !
	more  chan struct{} // closed when there is one more; guarded by mu
}

func (r *recorder) line(_ context.Context, stderr bool, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stderr {
		line = "!" + line
	}
	r.lines = append(r.lines, line)
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// await returns once the program has written want.
func (r *recorder) await(t *testing.T, want string) {
	t.Helper()
	for timeout := time.After(patience); ; {
		r.mu.Lock()
		if slices.Contains(r.lines, want) {
			r.mu.Unlock()
			return
		}
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("got %q, want %q among them", r.lines, want)
		}
	}
}

// A result is what Run gave beside a test.
type result struct {
	code int
	err  error
}

// sh runs a line of shell beside the test.
func sh(t *testing.T, ctx context.Context, cfg Config) <-chan result {
	t.Helper()
	done := make(chan result, 1)
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	go func() {
		code, err := Run(ctx, cfg)
		done <- result{code, err}
	}()
	return done
}

func wait(t *testing.T, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		t.Fatal("it still runs")
	}
	return result{}
}

func TestRunCode(t *testing.T) {
	for line, want := range map[string]int{
		"true":                                       0,
		"exit 3":                                     3,
		"kill -9 $$":                                 137,
		"kill -TERM $$; sleep 1000":                  143,
		"exec >&- 2>&-; exit 4":                      4, // its output has ended before it
		"head -c 20000000 /dev/zero; exit 5":         5, // a line that does not end
		"sleep 1000 & exit 6":                        6, // what it leaves is ended
		"trap '' TERM; (sleep 1000; :) & exit 7":     7, // what it leaves is killed
		"cat; exit 8":                                8, // there is nothing to read
		"nosuchcommand12; exit $?":                   127,
		"(exec 1>&- 2>&-; exec sleep 1000) & exit 9": 9,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got := wait(t, sh(t, t.Context(), Config{Shell: line, Grace: 50 * time.Millisecond}))
			if got.err != nil || got.code != want {
				t.Errorf("got %d, %v, want %d", got.code, got.err, want)
			}
		})
	}
}

func TestCannotRun(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"data": 0o644, "text": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no program\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for program, want := range map[string]struct {
		code int
		text string
	}{
		"nosuchcommand12":            {127, "there is no command nosuchcommand12"},
		filepath.Join(dir, "nosuch"): {127, "there is no command"},
		filepath.Join(dir, "data"):   {126, "may not be run"},
		filepath.Join(dir, "text"):   {126, "is no program of this system"},
		dir:                          {126, ""},
	} {
		got := wait(t, sh(t, t.Context(), Config{Args: []string{program}}))
		e, ok := errors.AsType[*cmdline.Error](got.err)
		if !ok || e.Code != want.code || !strings.Contains(e.Message, want.text) || strings.Contains(e.Message, "exec") {
			t.Errorf("%s: got %+v, want code %d, %q", program, got.err, want.code, want.text)
		}
		if err := Find(program); filepath.Base(program) != "text" && err == nil {
			t.Errorf("%s is found", program)
		}
	}
}

func TestLines(t *testing.T) {
	var r recorder
	got := wait(t, sh(t, t.Context(), Config{Args: []string{"/bin/sh", "-c", "echo $WHO; echo oops >&2; printf end"},
		Env: []string{"WHO=me"}, Line: r.line}))
	slices.Sort(r.lines)
	if want := []string{"!oops", "end", "me"}; got.err != nil || got.code != 0 || !slices.Equal(r.lines, want) {
		t.Errorf("got %q, %+v, want %q", r.lines, got, want)
	}
}

// A signal reaches the program and what it has started.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			var r recorder
			ctx, cancel := context.WithCancelCause(t.Context())
			const line = `trap "wait; echo above; exit 3" INT TERM HUP; (trap "echo below; exit" INT TERM HUP; echo ready; while :; do sleep 0.01; done) & wait`
			done := sh(t, ctx, Config{Args: []string{"/bin/bash", "-c", line}, Line: r.line})
			r.await(t, "ready")
			cancel(cmdline.Interrupt{Signal: sig})
			got := wait(t, done)
			if got.err != nil || got.code != 3 || !slices.Contains(r.lines, "below") || !slices.Contains(r.lines, "above") {
				t.Errorf("got %+v, %q", got, r.lines)
			}
		})
	}
}

// What ignores its signal is killed after the grace, or by a cut before that. So
// is one that is stopped.
func TestKill(t *testing.T) {
	const deaf = `trap "" TERM; (echo below; exec sleep 1000) & echo ready; wait`
	for name, tt := range map[string]struct {
		line  string
		grace time.Duration
		cut   bool
		want  int
	}{
		"grace":    {deaf, 50 * time.Millisecond, false, 137},
		"no grace": {deaf, -1, false, 137},
		"cut":      {deaf, time.Hour, true, 137},
		"stopped":  {"echo ready; kill -STOP $$", time.Hour, false, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r recorder
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cut := make(chan struct{})
			done := sh(t, ctx, Config{Shell: tt.line, Grace: tt.grace, Cut: cut, Line: r.line})
			r.await(t, "ready")
			cancel()
			if tt.cut {
				close(cut)
			}
			if got := wait(t, done); got.err != nil || got.code != tt.want {
				t.Errorf("got %+v, want %d", got, tt.want)
			}
		})
	}
}

// A process that leaves the group, and holds the output open, holds up nothing.
func TestLeaver(t *testing.T) {
	var r recorder
	const line = `mkfifo left; setsid -f sh -c 'echo $$; echo > left; exec sleep 1000'; read _ < left`
	got := wait(t, sh(t, t.Context(), Config{Shell: "cd " + t.TempDir() + "; " + line, Line: r.line}))
	if got.err != nil || got.code != 0 || len(r.lines) != 1 {
		t.Fatalf("got %+v, %q", got, r.lines)
	}
	var pid int
	for _, c := range r.lines[0] {
		pid = pid*10 + int(c-'0')
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

// A reader that does not read holds the program up, and not its end.
func TestSlowReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := make(chan struct{})
	var once sync.Once
	done := sh(t, ctx, Config{Args: []string{"yes"}, Line: func(ctx context.Context, _ bool, _ string) {
		once.Do(func() { close(blocked) })
		<-ctx.Done()
	}})
	<-blocked
	cancel()
	if got := wait(t, done); got.err != nil || got.code != 143 {
		t.Errorf("got %+v, want 143", got)
	}
}

func TestEnviron(t *testing.T) {
	env := []string{"PATH=/bin", "SHARE_TOKEN=x", "SHARE_TOKEN_FILE=x", "SHARE_ADMIN_TOKEN=x", "SHARE_ID_TOKEN=x", "share_token=x", "SHARE_TOKENS=kept",
		"ACTIONS_ID_TOKEN_REQUEST_URL=x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x", "NOTIFY_SOCKET=x", "SHARE_URL=old", "EMPTY"}
	got := Environ(env, "SHARE_URL=new")
	if want := []string{"PATH=/bin", "SHARE_TOKENS=kept", "EMPTY", "SHARE_URL=new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if env[1] != "SHARE_TOKEN=x" {
		t.Error("the process's own environment has changed")
	}
}
