package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// patience bounds each wait of a script: what takes longer has failed.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"share": main, "pebble": runPebble, "server": runServer})
}

// leakless fails tests that leave goroutines behind.
type leakless struct{ *testing.M }

func (l leakless) Run() int {
	code := l.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// TestScript runs the command as its users do: a script for each promise.
// Beside testscript's own commands there are those of scriptCommands.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("SCRIPTS") == "update", // writes anew what cmp compares with
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHARE_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("SHARE_CONFIG_DIR", filepath.Join(env.WorkDir, "config"))
			env.Setenv("SHARE_KEYRING", "off")
			env.Setenv("NL", "\n")
			env.Values["processes"] = map[string]*process{}
			env.Values["asked"] = map[string]chan answer{}
			env.Values["loads"] = map[string]*loading{}
			env.Values["gate"] = newGate()
			env.Values["issuer"] = &issuing{}
			return nil
		},
		Cmds:      scriptCommands(),
		Condition: condition,
	})
}

// TestArrows holds imports to the directions in which packages may know each
// other: main knows all, agent and relay know tunnel, tunnel knows neither, and
// below them nobody looks up.
func TestArrows(t *testing.T) {
	may := map[string][]string{
		"share":                  {"share/agent/command", "share/agent/terminal", "share/relay", "share/relay/command", "share/tunnel", "share/tunnel/cmdline", "share/tunnel/manual", "share/tunnel/procs"},
		"share/agent":            {"share/agent/target", "share/tunnel", "share/tunnel/cmdline", "share/tunnel/nbio", "share/tunnel/websock"},
		"share/agent/child":      {"share/tunnel/cmdline"},
		"share/agent/command":    {"share/agent", "share/agent/child", "share/agent/control", "share/agent/credential", "share/agent/device", "share/agent/doctor", "share/agent/project", "share/agent/runner", "share/agent/service", "share/agent/target", "share/agent/terminal", "share/tunnel", "share/tunnel/cmdline"},
		"share/agent/control":    {"share/agent", "share/tunnel", "share/tunnel/local"},
		"share/agent/credential": {"share/agent", "share/tunnel/cmdline"},
		"share/agent/device":     {},
		"share/agent/doctor":     {"share/agent", "share/agent/target", "share/tunnel", "share/tunnel/cmdline"},
		"share/agent/project":    {"share/tunnel", "share/tunnel/cmdline"},
		"share/agent/runner":     {"share/agent", "share/agent/terminal", "share/tunnel"},
		"share/agent/service":    {},
		"share/agent/target":     {"share/tunnel", "share/tunnel/http1", "share/tunnel/nbio"},
		"share/agent/terminal":   {"share/agent", "share/tunnel", "share/tunnel/cmdline"},
		"share/relay":            {"share/relay/access", "share/relay/account", "share/relay/acme", "share/relay/admin", "share/relay/dns", "share/relay/domain", "share/relay/edge", "share/relay/handover", "share/relay/identity", "share/relay/meter", "share/relay/route", "share/relay/store", "share/tunnel", "share/tunnel/local", "share/tunnel/nbio"},
		"share/relay/access":     {},
		"share/relay/account":    {"share/relay/store", "share/tunnel"},
		"share/relay/acme":       {},
		"share/relay/admin":      {"share/relay/account", "share/relay/domain", "share/relay/handover", "share/relay/meter", "share/relay/route", "share/relay/store", "share/tunnel/local"},
		"share/relay/command":    {"share/relay", "share/relay/access", "share/relay/account", "share/relay/acme", "share/relay/admin", "share/relay/dns", "share/relay/doctor", "share/relay/handover", "share/relay/store", "share/tunnel/cmdline"},
		"share/relay/dns":        {},
		"share/relay/doctor":     {"share/tunnel/cmdline"},
		"share/relay/domain":     {"share/relay/account", "share/relay/route", "share/tunnel"},
		"share/relay/edge":       {"share/relay/access", "share/relay/meter", "share/relay/route", "share/tunnel", "share/tunnel/http1", "share/tunnel/nbio", "share/tunnel/websock"},
		"share/relay/handover":   {"share/relay/route"},
		"share/relay/identity":   {},
		"share/relay/meter":      {"share/tunnel"},
		"share/relay/route":      {"share/relay/account", "share/tunnel"},
		"share/relay/store":      {},
		"share/tunnel":           {"share/tunnel/nbio", "github.com/hashicorp/yamux"},
		"share/tunnel/cmdline":   {},
		"share/tunnel/http1":     {"share/tunnel"},
		"share/tunnel/local":     {},
		"share/tunnel/manual":    {"share/tunnel/cmdline"},
		"share/tunnel/nbio":      {},
		"share/tunnel/procs":     {},
		"share/tunnel/websock":   {"github.com/coder/websocket"},

		"share/relay/identity/identitytest": {}, // for tests
	}
	guarded := regexp.MustCompile(`^share($|/)|^github\.com/(hashicorp/yamux|coder/websocket)$`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimSuffix("share/"+filepath.ToSlash(filepath.Dir(path)), "/.")
		if may[pkg] == nil {
			t.Errorf("%s: package %s has no place in the plan", path, pkg)
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if guarded.MatchString(name) && !slices.Contains(may[pkg], name) {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
