//go:build linux

package shells

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// A terminal is one that a shell runs at.
type terminal struct {
	t      *testing.T
	master *os.File
	text   string // that the shell has written and nobody has waited for
}

// start runs a shell at a terminal until the test ends.
func start(t *testing.T, dir string, env []string, name string, args ...string) *terminal {
	t.Helper()
	master, slave, err := rig.Terminal(40, 200)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	defer slave.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &terminal{t: t, master: master}
}

func (m *terminal) send(keys string) {
	m.t.Helper()
	if _, err := io.WriteString(m.master, keys); err != nil {
		m.t.Fatal(err)
	}
}

// await waits until the shell writes what is like re, and returns its first group.
func (m *terminal) await(re *regexp.Regexp) string {
	m.t.Helper()
	m.master.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	for {
		if at := re.FindStringSubmatchIndex(m.text); at != nil {
			found := m.text[at[2]:at[3]]
			m.text = m.text[at[1]:]
			return found
		}
		n, err := m.master.Read(buf)
		if m.text += string(buf[:n]); err != nil {
			m.t.Fatalf("%v: got %q, want %s", err, m.text, re)
		}
	}
}

var (
	prompt = regexp.MustCompile(`(ready> )`)
	became = regexp.MustCompile(`line<([^>]*)>end`)
)

// complete carries completions out in a shell that setup has prepared.
func complete(t *testing.T, dir string, env []string, setup, name string, args ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, ".setup"), []byte(setup), 0o644); err != nil {
		t.Fatal(err)
	}
	m := start(t, dir, env, name, args...)
	m.send("source ./.setup\n")
	m.await(prompt)
	for _, tt := range completions {
		m.send(tt.typed + "\t\x14\x15")
		if got := strings.TrimRight(m.await(became), " "); got != tt.want {
			t.Errorf("%s: %q: got %q, want %q", tt.name, tt.typed, got, tt.want)
		}
	}
}
