//go:build unix

package upgrades

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long is waited for what must happen.
const patience = 30 * time.Second

// A process is a share command that runs. What it starts writes into the same
// logs.
type process struct {
	cmd    *exec.Cmd
	out    lines
	log    lines
	exited chan struct{} // closed once it has ended
}

// start runs the binary until the test ends.
func start(t *testing.T, binary string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	// Files, unlike pipes, do not keep Wait from the end of this process
	// while one that it started lives.
	stdout, stderr := p.out.file(t), p.log.file(t)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	// A group of its own, for what it starts to be found.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
		for _, text := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if p.log.count(text) > 0 {
				t.Errorf("%s in %v", text, args)
			}
		}
		if t.Failed() {
			t.Logf("%v:\n%s\n%s", args, p.out.tail(), p.log.tail())
		}
	})
	return p
}

// lines is what a process, and those that it starts, write to a file.
type lines struct{ path string }

// file opens the file; each who writes to it adds to what the others have
// written.
func (l *lines) file(t *testing.T) *os.File {
	t.Helper()
	l.path = filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// with returns the whole lines that hold every one of texts.
func (l *lines) with(texts ...string) (found []string) {
	text, err := os.ReadFile(l.path)
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if !slices.ContainsFunc(texts, func(s string) bool { return !bytes.Contains(line, []byte(s)) }) {
			found = append(found, string(line))
		}
	}
	return found
}

func (l *lines) count(texts ...string) int { return len(l.with(texts...)) }

// tail is the end of what was written, without the lines of requests.
func (l *lines) tail() string {
	all := slices.DeleteFunc(l.with(), func(line string) bool { return strings.Contains(line, `"status":200`) })
	return strings.Join(all[max(0, len(all)-60):], "")
}

// await waits until there are n lines with all of texts, and returns the last; it
// is empty if they do not come.
func (l *lines) await(n int, texts ...string) string {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found := l.with(texts...); len(found) >= n {
			return found[n-1]
		}
	}
	return ""
}

// ended reports whether the process with an id has ended in time. Nobody may be
// there to collect it.
func ended(pid int) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if syscall.Kill(pid, 0) != nil || err == nil && bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
	}
	return false
}
