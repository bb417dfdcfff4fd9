package terminal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"share/testdata/bench/rig"
)

// A terminal that takes no more output holds nothing up: requests are answered, and
// ctrl+c ends the agent and leaves the terminal as it was.
func TestStalled(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	stalled(t, relay, share(target.addr, relay.addr))
}

// Nor does one that shows several tunnels.
func TestStalledSeveral(t *testing.T) {
	t.Parallel()
	relay, target := startRelay(t), startProgram(t)
	file := project(t, filepath.Join(t.TempDir(), "share.yaml"), target.addr, "api")
	stalled(t, relay, "up -f "+file+" --relay http://"+relay.addr)
}

func stalled(t *testing.T, relay *daemon, command string) {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	master, slave, err := rig.Terminal(24, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	cmd := exec.Command(bin, strings.Fields(command)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "SHARE_STATE_DIR="+t.TempDir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // it ends, or is killed
	defer cmd.Process.Kill()
	var seen []byte
	for buf := make([]byte, 4096); !strings.Contains(string(seen), "demo.localhost"); {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, buf[:n]...)
	}
	client := newClient(t)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if got := visit(client, relay.addr, "/"+strings.Repeat("x", 200)); got != 200 {
			t.Fatalf("got %d", got)
		}
	}
	if _, err := master.WriteString("?\x03"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Error("ctrl+c did not end it")
		cmd.Process.Kill()
		<-ended
	}
	modes, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if modes.Lflag&unix.ICANON == 0 || modes.Lflag&unix.ECHO == 0 {
		t.Error("the terminal is in raw mode")
	}
}
