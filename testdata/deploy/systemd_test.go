//go:build linux

package deploy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// maxExposure is what systemd-analyze may find the service exposed to, in tenths:
// 100 is without any protection.
const maxExposure = 20

// systemd finds nothing wrong with the units and what the guide adds to them, and
// the service well protected.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not installed")
	}
	bin, dir := build(t), t.TempDir()
	var units []string
	for _, name := range []string{"share-relay.service", "share-relay.socket"} {
		text := strings.ReplaceAll(read(t, name), "/usr/local/bin/share", bin)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		units = append(units, path)
	}
	if err := os.Mkdir(units[0]+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	added := regexp.MustCompile(`(?s)^cat >/etc/systemd/system/share-relay.service.d/(\S+) <<END\n(.*)END$`)
	for _, c := range commands(t, filepath.Join(folder, "README.md")) {
		if m := added.FindStringSubmatch(c.text); m != nil {
			if err := os.WriteFile(filepath.Join(units[0]+".d", m[1]), []byte(m[2]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no", "--recursive-errors=no"}, units...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold="+strconv.Itoa(maxExposure), units[0]).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// A manager is what a service tells of itself.
type manager struct {
	conn *net.UnixConn
	path string

	mu   sync.Mutex
	said []string // guarded by mu
}

func listenAsManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for buf := make([]byte, 4096); ; {
			n, err := m.conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, strings.Split(string(buf[:n]), "\n")...)
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		m.conn.Close()
		wg.Wait()
	})
	return m
}

// await waits for a word that begins so, takes it and all before it, and returns
// it.
func (m *manager) await(t *testing.T, word string) (said string) {
	t.Helper()
	until(t, word, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		i := slices.IndexFunc(m.said, func(s string) bool { return strings.HasPrefix(s, word) })
		if i >= 0 {
			said, m.said = m.said[i], m.said[i+1:]
		}
		return i >= 0
	})
	return said
}

// The service tells systemd when it is ready, reads its files, lives, is another
// process, and stops.
func TestNotify(t *testing.T) {
	m, dir := listenAsManager(t), t.TempDir()
	cmd := exec.Command(build(t), "relay", "--http", free(t), "--data", filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=200000", "HOME="+dir)
	p := start(t, cmd)
	m.await(t, "READY=1")
	m.await(t, "WATCHDOG=1")
	m.await(t, "WATCHDOG=1")
	cmd.Process.Signal(syscall.SIGHUP)
	m.await(t, "RELOADING=1")
	m.await(t, "MONOTONIC_USEC=")
	m.await(t, "READY=1")
	cmd.Process.Signal(syscall.SIGUSR2)
	// The two say so at the same time.
	var pid int
	if _, err := fmt.Sscanf(m.await(t, "MAINPID="), "MAINPID=%d", &pid); err != nil || pid == cmd.Process.Pid {
		t.Fatalf("the main process is %d, %v", pid, err)
	}
	if code := p.ended(t); code != 0 {
		t.Errorf("the process that was replaced ended with %d", code)
	}
	m.await(t, "WATCHDOG=1") // those of the first, perhaps
	m.mu.Lock()
	m.said = nil
	m.mu.Unlock()
	m.await(t, "WATCHDOG=1")
	syscall.Kill(pid, syscall.SIGTERM)
	m.await(t, "STOPPING=1")
	p.await(t, "msg=stopped")
}

// Sockets that systemd has opened are the relay's, by their name or by their
// address, and go to the process that takes its place.
func TestActivation(t *testing.T) {
	bin, dir := build(t), t.TempDir()
	named, addressed := free(t), free(t)
	var files []*os.File
	for _, addr := range []string{named, addressed} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		ln.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	// Whom they are for is told by its process id.
	args := []string{bin, "relay", "--agents", addressed, "--data", filepath.Join(dir, "data")}
	cmd := exec.Command("sh", append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=http:other", "HOME="+dir)
	cmd.ExtraFiles = files
	p := start(t, cmd)
	p.await(t, "door=http addr="+named)
	p.await(t, "door=agents addr="+addressed)
	for _, f := range files {
		f.Close()
	}
	if err := home(t.Context(), named); err != nil {
		t.Error(err)
	}
	cmd.Process.Signal(syscall.SIGUSR2)
	p.await(t, "took the relay over")
	if code := p.ended(t); code != 0 {
		t.Errorf("the process that was replaced ended with %d", code)
	}
	if err := home(t.Context(), named); err != nil {
		t.Errorf("the next process: %v", err)
	}
	nc, err := net.DialTimeout("tcp", addressed, time.Second)
	if err != nil {
		t.Fatalf("the next process: %v", err)
	}
	nc.Close()
}
