package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A process is a command that runs beside a script.
type process struct {
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended and its output is read
	stdout *lines
	stderr *lines
	keys   *os.File // of its terminal, nil if it has none
}

// lines gathers what a process writes, and tells those who wait.
type lines struct {
	part bool // the last line counts before it is whole: a terminal may never end it
	mu   sync.Mutex
	text []byte        // guarded by mu
	more chan struct{} // closed when there is more; guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

// whole gives the lines that are whole so far.
func (l *lines) whole() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.part {
		return string(l.text), l.more
	}
	return string(l.text[:bytes.LastIndexByte(l.text, '\n')+1]), l.more
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	tty := len(args) > 0 && args[0] == "-tty"
	if tty {
		args = args[1:]
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start [-tty] name command arg...")
	}
	all := processes(ts)
	if all[args[0]] != nil {
		ts.Fatalf("%s was started before", args[0])
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p := &process{
		cmd:    exec.Command(path, args[2:]...),
		done:   make(chan struct{}),
		stdout: &lines{more: make(chan struct{}), part: tty},
		stderr: &lines{more: make(chan struct{})},
	}
	p.cmd.Args[0] = args[1]
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environ(ts)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	read := func() {}
	if tty {
		p.keys, read, err = terminalFor(p.cmd)
		ts.Check(err)
	}
	// It is to hear SIGHUP, even if nohup(1) has started the tests.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	ts.Check(p.cmd.Start())
	go func() { // ends with the process, which Defer kills
		read()
		p.cmd.Wait()
		close(p.done)
	}()
	all[args[0]] = p
	ts.Defer(func() {
		p.cmd.Process.Kill()
		<-p.done
		for _, out := range []*lines{p.stdout, p.stderr} {
			if text, _ := out.whole(); text != "" {
				ts.Logf("[%s]\n%s", args[0], text)
			}
		}
	})
}

// reap has all agents killed whose sockets are there when the script ends: a script
// that fails does not come to stop them. It stands behind what starts them, whose
// output they hold.
func reap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: reap")
	}
	run := filepath.Join(ts.Getenv("SHARE_STATE_DIR"), "run")
	ts.Defer(func() {
		sockets, _ := os.ReadDir(run) // there is none if no agent ran
		for _, socket := range sockets {
			pid, _, _ := strings.Cut(socket.Name(), "-")
			if n, err := strconv.Atoi(pid); err == nil {
				if p, err := os.FindProcess(n); err == nil {
					p.Kill()
				}
			}
		}
	})
}

func typeKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: type name text")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	p := find(ts, args[0])
	if p.keys == nil {
		ts.Fatalf("%s has no terminal", args[0])
	}
	_, err = p.keys.WriteString(text)
	ts.Check(err)
}

func unechoed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unechoed name")
	}
	p := find(ts, args[0])
	if p.keys == nil {
		ts.Fatalf("%s has no terminal", args[0])
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); ; {
		echo, err := echoes(p.keys)
		ts.Check(err)
		if !echo {
			return
		}
		select {
		case <-tick.C:
		case <-p.done:
			ts.Fatalf("%s ended, and its terminal has shown all that was typed", args[0])
		case <-timeout:
			ts.Fatalf("the terminal of %s shows what is typed, after %v", args[0], patience)
		}
	}
}

// fails runs a command to its end. Its output is what stdout and stderr match.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	var stdin io.Reader
	if len(args) > 1 && args[0] == "-in" {
		stdin, args = strings.NewReader(ts.ReadFile(args[1])), args[2:]
	}
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fails [-in file] code regexp command arg...")
	}
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[3:]...)
	cmd.WaitDelay = time.Second // for one that leaves another behind
	var stdout, stderr bytes.Buffer
	cmd.Args[0], cmd.Dir, cmd.Env = args[2], ts.MkAbs("."), environ(ts)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.Run()
	stdout.WriteTo(ts.Stdout())
	text := stderr.String()
	io.WriteString(ts.Stderr(), text)
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("got exit code %s, want %s: %s", got, args[0], text)
	}
	var said []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "share: ") {
			said = append(said, line)
		} else if !strings.HasPrefix(line, "time=") && !strings.HasPrefix(line, "::") && !strings.HasPrefix(line, "  ") {
			ts.Fatalf("stderr has a line that is neither an error, a log, of a file nor for a runner: %s", line)
		}
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	if len(said) != 1 || !re.MatchString(said[0]) {
		ts.Fatalf("got %q, want one line like %s", said, args[1])
	}
}

func pid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pid name var")
	}
	ts.Setenv(args[1], strconv.Itoa(find(ts, args[0]).cmd.Process.Pid))
}

func differ(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: differ a b")
	}
	if (args[0] != args[1]) == neg {
		ts.Fatalf("%q and %q", args[0], args[1])
	}
}

func holds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: holds file want")
	}
	want := os.Expand(ts.ReadFile(args[1]), ts.Getenv)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); ; {
		got, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && string(got) == want {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			ts.Fatalf("%s: got %q, %v after %v, want %q", args[0], got, err, patience, want)
		}
	}
}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value("processes").(map[string]*process)
}

func find(ts *testscript.TestScript, name string) *process {
	p := processes(ts)[name]
	if p == nil {
		ts.Fatalf("%s was not started", name)
	}
	return p
}

// environ gives the environment for a process: testscript does not tell it all.
func environ(ts *testscript.TestScript) (env []string) {
	names := []string{"PATH", "HOME", "TMPDIR", "TERM", "LC_ALL", "NO_COLOR", "NO_PROXY", "HTTPS_PROXY", "SystemRoot",
		"SHARE_STATE_DIR", "SHARE_CONFIG_DIR", "SHARE_KEYRING", "DBUS_SESSION_BUS_ADDRESS", "SHARE_TOKEN", "SHARE_ADMIN_TOKEN", "SHARE_RELAY", "SHARE_NAME", "SHARE_TOKEN_FILE", "SHARE_QUIET", "SHARE_HOLD", "WEB_PORT",
		"SSL_CERT_FILE", "SHARE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
	for _, name := range names {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await name regexp [var...]")
	}
	p := find(ts, args[0])
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	timeout := time.After(patience)
	for ended := false; ; {
		stdout, more := p.stdout.whole()
		stderr, moreErr := p.stderr.whole()
		for _, text := range []string{stdout, stderr} {
			if m := re.FindStringSubmatch(text); m != nil {
				for i, name := range args[2:] {
					ts.Setenv(name, m[i+1])
				}
				return
			}
		}
		if ended {
			ts.Fatalf("%s ended without a line like %s", args[0], args[1])
		}
		select {
		case <-more:
		case <-moreErr:
		case <-p.done:
			ended = true
		case <-timeout:
			ts.Fatalf("%s wrote no line like %s in %v", args[0], args[1], patience)
		}
	}
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal name signal")
	}
	sig, ok := signals[args[1]]
	if !ok {
		ts.Fatalf("there is no signal %s", args[1])
	}
	ts.Check(find(ts, args[0]).cmd.Process.Signal(sig))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended name code")
	}
	p := find(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s still runs after %v", args[0], patience)
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s: got exit code %s, want %s", args[0], got, args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".stdout"), p.stdout.text, 0o666))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".stderr"), p.stderr.text, 0o666))
}
