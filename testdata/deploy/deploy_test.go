//go:build linux

package deploy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/testdata/bench/rig"
)

// TestMain lets what pebble never ends go on.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"), goleak.Cleanup(func(code int) {
		if dir, err := scratch(); err == nil {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// scratch is a folder for what all tests share.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "deploy") })

// binary is the command, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	return rig.Build(context.Background(), dir)
})

// patience is how long is waited for what must happen.
const patience = 30 * time.Second

// folder is what is tested.
var folder = filepath.Join("..", "..", "relay", "deploy")

// build returns a binary.
func build(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// read returns a file of the folder.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A process is a command that runs, in a group of its own, until the test ends.
type process struct {
	cmd    *exec.Cmd
	log    string        // the file that it writes to
	exited chan struct{} // closed once it has ended
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, log: filepath.Join(t.TempDir(), "log"), exited: make(chan struct{})}
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("%v:\n%s", cmd.Args, text)
		}
	})
	return p
}

// await waits for text in what the process writes.
func (p *process) await(t *testing.T, text string) {
	t.Helper()
	p.match(t, regexp.MustCompile(regexp.QuoteMeta(text)))
}

// match waits until what the process writes matches re, and returns the text of
// the match and of its groups.
func (p *process) match(t *testing.T, re *regexp.Regexp) (m []string) {
	t.Helper()
	until(t, re.String(), func() bool {
		got, _ := os.ReadFile(p.log)
		m = re.FindStringSubmatch(string(got))
		return m != nil
	})
	return m
}

// ended waits for the end of the process, and returns its exit code.
func (p *process) ended(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%v still runs after %v", p.cmd.Args, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop interrupts the process, as Ctrl-C does, and waits for its end.
func (p *process) stop(t *testing.T) {
	t.Helper()
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT)
	p.ended(t)
}

// until waits until is holds.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// free returns an address at which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	addr, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// home asks a relay for its own page.
func home(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		return fmt.Errorf("the relay answers %s", resp.Status)
	}
	return nil
}
