//go:build linux

package action

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/testdata/bench/rig"
)

// patience is how long is waited for what must happen.
const patience = 30 * time.Second

// serving is a variable that makes this program one that is shared: it has the
// address.
const serving = "ACTION_TEST_SERVE"

func TestMain(m *testing.M) {
	if addr := os.Getenv(serving); addr != "" {
		http.ListenAndServe(addr, http.HandlerFunc(tell))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if dir, err := scratch(); err == nil {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// tell answers what was asked for, and what there is in the environment that is
// none of a target's business.
func tell(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "target:", r.URL.Path, "at", os.Getenv("SHARE_URL"))
	for _, v := range os.Environ() {
		for _, private := range []string{"INPUT_", "SHARE_TOKEN=", "SHARE_ID_TOKEN=", "ACTIONS_ID_TOKEN_"} {
			if strings.HasPrefix(v, private) {
				fmt.Fprintln(w, "leaked:", v)
			}
		}
	}
}

// scratch is a folder for what all tests share.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "action") })

// binary is the command, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	return rig.Build(context.Background(), dir)
})

func build(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// folder is that of the action.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".github", "actions", "share"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tokens are those that a relay makes.
var tokens = regexp.MustCompile(`shr_\w+`)

// goEnv is what the go command knows under a name.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
