//go:build linux

package action

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A result is what a step has brought about.
type result struct {
	code     int
	log      string            // as it is shown
	masks    []string          // what is not shown
	errors   []string          // annotations of the job
	others   []string          // other commands that the runner has obeyed
	outputs  map[string]string // nil if there are none
	summary  string
	addition string // to PATH
}

// run runs a script in the environment of the job and env, with files of its own
// that are gone when it has ended.
func (r *runner) run(script string, env map[string]string) result {
	r.t.Helper()
	res, err := r.start(script, env).wait()
	if err != nil {
		r.t.Fatal(err)
	}
	if res.addition != "" {
		r.path = append([]string{res.addition}, r.path...)
	}
	return res
}

// A running is a script that runs.
type running struct {
	wait func() (result, error) // for its end

	mu  sync.Mutex
	raw strings.Builder // guarded by mu
}

func (r *running) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.Write(text)
}

// written is what the script has written.
func (r *running) written() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.String()
}

// await waits until the script has written text.
func (r *running) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(r.written(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q after %v, but\n%s", text, patience, r.written())
		}
	}
}

// start starts a script. It is an error of its end if the runner has to wait on,
// because something still has the step's output.
func (r *runner) start(script string, env map[string]string) *running {
	r.t.Helper()
	dir, err := os.MkdirTemp(r.temp, "_runner")
	if err != nil {
		r.t.Fatal(err)
	}
	all := maps.Clone(r.env)
	maps.Copy(all, env)
	all["PATH"] = strings.Join(append(slices.Clone(r.path), all["PATH"]), ":")
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH"} {
		all[name] = filepath.Join(dir, name)
		write(r.t, all[name], "")
	}
	write(r.t, filepath.Join(dir, "script.sh"), script)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", filepath.Join(dir, "script.sh"))
	cmd.Dir = r.workspace
	for name, value := range all {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	step := &running{}
	cmd.Stdout = step
	cmd.Stderr = cmd.Stdout
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		r.t.Fatal(err)
	}
	step.wait = func() (result, error) {
		defer cancel()
		if err := cmd.Wait(); err != nil && cmd.ProcessState == nil || errors.Is(err, exec.ErrWaitDelay) || ctx.Err() != nil {
			return result{}, fmt.Errorf("%w, %v\n%s", err, ctx.Err(), step.written())
		}
		res := result{code: cmd.ProcessState.ExitCode()}
		res.obey(step.written())
		outputs, err := os.ReadFile(all["GITHUB_OUTPUT"])
		if err != nil {
			return res, err
		}
		for line := range strings.Lines(string(outputs)) {
			name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if !ok {
				return res, fmt.Errorf("output: %q is none", line)
			}
			if res.outputs == nil {
				res.outputs = map[string]string{}
			}
			res.outputs[name] = value
		}
		summary, err := os.ReadFile(all["GITHUB_STEP_SUMMARY"])
		if err != nil {
			return res, err
		}
		path, err := os.ReadFile(all["GITHUB_PATH"])
		if err != nil {
			return res, err
		}
		res.summary, res.addition = string(summary), strings.TrimSpace(string(path))
		return res, os.RemoveAll(dir)
	}
	return step
}

// commandLine is how a step gives the runner a command: at the start of a line, or
// by the older form anywhere in it.
var commandLine = regexp.MustCompile(`^\s*::([a-z-]+)(?: [^:]*)?::(.*)$|##\[([a-z-]+)[^\]]*\](.*)$`)

// obey makes what is shown of what a step has written.
func (res *result) obey(raw string) {
	resume := ""
	for line := range strings.Lines(raw) {
		line = strings.TrimSuffix(line, "\n")
		m := commandLine.FindStringSubmatch(line)
		switch {
		case resume != "" && line == "::"+resume+"::":
			resume = ""
			continue
		case m == nil || resume != "":
			for _, mask := range res.masks {
				line = strings.ReplaceAll(line, mask, "***")
			}
			res.log += line + "\n"
			continue
		}
		name, data := m[1]+m[3], m[2]+m[4]
		switch name {
		case "add-mask":
			res.masks = append(res.masks, data)
		case "stop-commands":
			resume = data
		case "error":
			for _, mask := range res.masks {
				data = strings.ReplaceAll(data, mask, "***")
			}
			res.errors = append(res.errors, data)
		case "group", "endgroup":
		default:
			res.others = append(res.others, line)
		}
	}
}
