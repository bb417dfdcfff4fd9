//go:build linux

// Package shells completes commands of share in real shells, and has real formatters
// read its manual page.
package shells

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if share, err := built(); err == nil {
			os.RemoveAll(filepath.Dir(share))
		}
		os.Exit(code)
	}))
}

// patience bounds each program that a test runs.
const patience = time.Minute

// program returns the path of a program that the Debian package pkg brings. Without
// it the test is skipped; in CI it fails.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install the Debian package %s", name, pkg)
	default:
		t.Skipf("%s is missing: install the Debian package %s", name, pkg)
	}
	return ""
}

// built is the program, in a folder of its own.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "shells")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", "urfave_cli_no_docs,noasm", "-o", filepath.Join(dir, "share"), ".")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	return filepath.Join(dir, "share"), cmd.Run()
})

// place is a folder with files to complete, and the environment of a shell there that
// finds share.
func place(t *testing.T) (dir string, env []string) {
	t.Helper()
	share, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"backup.gz", "with space.gz", "folder/inner"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".bin", "frobnicate"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, []string{
		"PATH=" + filepath.Join(dir, ".bin") + string(os.PathListSeparator) + filepath.Dir(share) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "SHARE_STATE_DIR=" + filepath.Join(dir, ".state"), "TMPDIR=" + os.TempDir(),
		"TERM=xterm", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
	}
}

// output runs a program, which must succeed, and returns what it writes to stdout.
func output(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if name == "share" {
		name, _ = built()
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// serve shares a target as name until the test ends.
func serve(t *testing.T, dir string, env []string, name string) {
	t.Helper()
	share, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	cmd := exec.CommandContext(ctx, share, "http", "9", "--quiet", "--name", name)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil { // the URL
		t.Fatalf("share http: %v", err)
	}
}

// A completion is what a line becomes at a tab.
type completion struct {
	name  string
	typed string
	want  string
}

// completions are what bash and zsh both have to do, up to a space at the end.
var completions = []completion{
	{"command", "share rel", "share relay"},
	{"below", "share relay tok", "share relay token"},
	{"help", "share help rel", "share help relay"},
	{"flag", "share http 8080 --exit-on-t", "share http 8080 --exit-on-target-down"},
	{"common", "share http 8080 --exit-on", "share http 8080 --exit-on-"},
	{"value", "share http --log-level d", "share http --log-level debug"},
	{"value behind =", "share http --log-level=d", "share http --log-level=debug"},
	{"file", "share relay restore back", "share relay restore backup.gz"},
	{"file with a space", "share relay restore wi", `share relay restore with\ space.gz`},
	{"file behind =", "share http --url-file=back", "share http --url-file=backup.gz"},
	{"folder", "share http --error-pages fol", "share http --error-pages folder/"},
	{"file of the command", "share http 80 -- share back", "share http 80 -- share backup.gz"},
	{"command behind --", "share http 80 -- frobni", "share http 80 -- frobnicate"},
	{"flag behind an URL", "share http --relay http://127.0.0.1:7070 --takeo", "share http --relay http://127.0.0.1:7070 --takeover"},
	{"flag behind quotes", "share http --on-ready 'a -- b' --takeo", "share http --on-ready 'a -- b' --takeover"},
	{"name", "share url calm", "share url calm-otter"},
	{"name behind a flag", "share logs -f calm", "share logs -f calm-otter"},
	{"nothing", "share url nosuch", "share url nosuch"},
}

// At ctrl-t, a shell says what its line has become.
func TestBash(t *testing.T) {
	bash := program(t, "bash", "bash")
	dir, env := place(t)
	serve(t, dir, env, "calm-otter")
	complete(t, dir, env, `source <(share completion bash)
bind -x '"\C-t": printf "line<%s>end" "$READLINE_LINE"'
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
PS1='rea''dy> '
`, bash, "--norc", "--noprofile", "-i")
}

func TestZsh(t *testing.T) {
	zsh := program(t, "zsh", "zsh")
	dir, env := place(t)
	serve(t, dir, env, "calm-otter")
	complete(t, dir, env, `autoload -U compinit; compinit -u -D
source <(share completion zsh)
line() { print -nr -- "line<$BUFFER>end" }
zle -N line; bindkey '^T' line; bindkey '^U' kill-whole-line
unsetopt beep; PS1='rea''dy> '
`, zsh, "-f", "-i")
}

// zsh finds the script in its path, too, by the name of the command.
func TestZshFunction(t *testing.T) {
	zsh := program(t, "zsh", "zsh")
	dir, env := place(t)
	if err := os.Mkdir(filepath.Join(dir, "functions"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := output(t, dir, env, "share", "completion", "zsh")
	if err := os.WriteFile(filepath.Join(dir, "functions", "_share"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, env, "calm-otter")
	complete(t, dir, env, `fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D
line() { print -nr -- "line<$BUFFER>end" }
zle -N line; bindkey '^T' line; bindkey '^U' kill-whole-line
unsetopt beep; PS1='rea''dy> '
`, zsh, "-f", "-i")
}

// fish says itself what it would complete.
func TestFish(t *testing.T) {
	fish := program(t, "fish", "fish")
	dir, env := place(t)
	serve(t, dir, env, "calm-otter")
	for _, tt := range []struct{ typed, want string }{
		{"share rel", "relay\trun a relay"},
		{"share relay tok", "token\tmake and revoke the tokens that let agents in, and operators"},
		{"share help rel", "relay\trun a relay"},
		{"share http 8080 --exit-on-d", "--exit-on-disconnect\tgive up when a relay is lost at which the tunnel was ready (default: connect again)"},
		{"share http --log-level d", "debug"},
		{"share http --log-level=d", "--log-level=debug"},
		{"share relay restore back", "backup.gz"},
		{"share relay restore wi", "with space.gz"},
		{"share http --url-file=back", "--url-file=backup.gz"},
		{"share http --error-pages fol", "folder/"},
		{"share http 80 -- share back", "backup.gz"},
		{"share url calm", "calm-otter"},
		{"share url nosuch", ""},
		{"share http back", ""},
	} {
		got := output(t, dir, env, fish, "--no-config", "-c", "share completion fish | source\ncomplete -C "+`"`+tt.typed+`"`)
		if got = strings.TrimRight(got, "\n"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.typed, got, tt.want)
		}
	}
}

// Formatters find nothing wrong with the manual page.
func TestManual(t *testing.T) {
	dir, env := place(t)
	page := output(t, dir, env, "share", "man")
	file := filepath.Join(dir, "share.1")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mandoc", "mandoc", "-T", "lint", file},
		{"groff", "groff", "-ww", "-man", "-T", "utf8", "-z", file},
		{"man", "man-db", "--warnings", "-l", file},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, program(t, args[0], args[1]), args[2:]...)
		cmd.Env, cmd.WaitDelay = append(env, "MANPAGER=cat", "MANWIDTH=80"), time.Second
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		cancel()
		said := stderr.String()
		if args[0] == "mandoc" {
			said += stdout.String()
			// A page without a date is the same however often it is built.
			said = strings.ReplaceAll(said, `mandoc: `+file+`:1:13: WARNING: missing date, using "": TH`+"\n", "")
		} else if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		if said != "" {
			t.Errorf("%v: %s", args, said)
		}
		if args[0] == "man" && !strings.Contains(stdout.String(), "--exit-on-target-down TIME\n") {
			t.Errorf("got\n%s", stdout.String())
		}
	}
}

// PowerShell cannot be had here: its script has to ask as the others do.
func TestPowerShell(t *testing.T) {
	dir, env := place(t)
	script := output(t, dir, env, "share", "completion", "powershell")
	for _, want := range []string{"-Native -CommandName share", `complete '--' @words "=$word"`} {
		if !strings.Contains(script, want) {
			t.Errorf("%s: want %s", runtime.GOOS, want)
		}
	}
}
