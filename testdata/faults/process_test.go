package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lines keeps what a process writes, line by line. It is safe for use by
// several goroutines.
type lines struct {
	mu   sync.Mutex
	list []string // guarded by mu
	part []byte   // guarded by mu; the line that has not ended
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.list = append(l.list, string(l.part[:i]))
		l.part = l.part[i+1:]
	}
}

// with returns the lines that hold every one of the given texts.
func (l *lines) with(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.list {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// A process is a share command that runs.
type process struct {
	cmd    *exec.Cmd
	out    lines         // stdout
	log    lines         // stderr
	exited chan struct{} // closed once it has ended
	code   int           // its exit code, once exited; -1 for a signal
}

// start runs the binary. Whoever starts a process kills it in the end.
func start(binary, home string, args ...string) (*process, error) {
	p := &process{exited: make(chan struct{}), cmd: exec.Command(binary, args...)}
	p.cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "SHARE_STATE_DIR=" + home, "PATH=" + os.Getenv("PATH")}
	p.cmd.Dir = home
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.WaitDelay = 2 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.exited)
	}()
	return p, nil
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

// stop asks the process to stop.
func (p *process) stop() { p.cmd.Process.Signal(syscall.SIGTERM) }

// wait reports whether the process ended within d.
func (p *process) wait(d time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(d):
		return false
	}
}

// event waits for a JSON line in l that holds all texts.
func (p *process) event(l *lines, d time.Duration, texts ...string) (map[string]any, error) {
	var found []string
	ok := eventually(d, func() bool {
		found = l.with(texts...)
		return len(found) > 0 || p.wait(0) && len(l.with(texts...)) > 0
	})
	if !ok {
		if p.wait(0) {
			return nil, errors.New("process has ended: " + strings.Join(p.log.with(), "\n"))
		}
		return nil, errors.New("no line with " + strings.Join(texts, ", "))
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(found[0]), &fields); err != nil {
		return nil, err
	}
	return fields, nil
}

// wantSound checks that nothing broke inside the process.
func (p *process) wantSound(t *testing.T) {
	t.Helper()
	for _, text := range []string{"panic:", "fatal error:", "DATA RACE"} {
		if len(p.log.with(text)) > 0 {
			t.Errorf("%s in %v:\n%s", text, p.cmd.Args, strings.Join(p.log.with(), "\n"))
			return
		}
	}
}

// dump logs what the process wrote in lines that hold the given text.
func (p *process) dump(t *testing.T, what, text string) {
	t.Helper()
	out, log := p.out.with(text), p.log.with(text)
	const most = 60
	out, log = out[max(0, len(out)-most):], log[max(0, len(log)-most):]
	t.Logf("%s, stdout:\n%s\n%s, stderr:\n%s", what, strings.Join(out, "\n"), what, strings.Join(log, "\n"))
}

// eventually reports whether ok became true within d.
func eventually(d time.Duration, ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); ; <-tick.C {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
