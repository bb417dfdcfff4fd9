//go:build linux

package action

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A runner runs the steps of one job, as that of GitHub Actions does.
type runner struct {
	t         *testing.T
	temp      string            // RUNNER_TEMP
	workspace string            // GITHUB_WORKSPACE, where steps run
	env       map[string]string // the job's
	github    map[string]string // the context github
	path      []string          // what steps have added to PATH
	outputs   map[string]string // of all steps so far, by id.name
	tracking  string            // what marks processes of this job
}

// newRunner begins a job, at whose end its processes are killed.
func newRunner(t *testing.T) *runner {
	t.Helper()
	dir := t.TempDir()
	r := &runner{
		t: t, temp: filepath.Join(dir, "temp"), workspace: filepath.Join(dir, "work"), tracking: "github_" + filepath.Base(filepath.Dir(dir)) + strconv.Itoa(os.Getpid()),
		github: map[string]string{}, outputs: map[string]string{},
	}
	r.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": filepath.Join(dir, "home"), "CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_OS": "Linux",
		"RUNNER_TEMP": r.temp, "GITHUB_WORKSPACE": r.workspace, "GITHUB_REPOSITORY": "acme/web", "RUNNER_TRACKING_ID": r.tracking,
	}
	for _, name := range []string{r.temp, r.workspace, r.env["HOME"]} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(r.orphans)
	return r
}

// orphans kills what the job has left behind.
func (r *runner) orphans() {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		env, err := os.ReadFile(path)
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "RUNNER_TRACKING_ID="+r.tracking) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// do runs a step of the job.
func (r *runner) do(s step) result {
	r.t.Helper()
	env := r.evalAll(s.Env, r.value)
	if s.Uses == "" {
		return r.record(s, r.run(s.Run, env))
	}
	at, ok := strings.CutPrefix(strings.TrimSuffix(s.Uses, "@main"), "acme/share/.github/actions/share")
	if !ok {
		r.t.Fatalf("uses: %s: what is that?", s.Uses)
	}
	return r.record(s, r.use(filepath.Join(folder(r.t), at), r.evalAll(s.With, r.value), env))
}

// record keeps the outputs of a step.
func (r *runner) record(s step, res result) result {
	for name, value := range res.outputs {
		r.outputs[s.ID+"."+name] = value
	}
	return res
}

// use runs the action in a folder.
func (r *runner) use(dir string, with, env map[string]string) (all result) {
	r.t.Helper()
	var m manifest
	load(r.t, filepath.Join(dir, "action.yml"), &m, true)
	for input := range with {
		if _, ok := m.Inputs[input]; !ok {
			r.t.Fatalf("%s: there is no input %s", dir, input)
		}
	}
	inner := map[string]string{}
	value := func(of string) (string, bool) {
		if input, ok := strings.CutPrefix(of, "inputs."); ok {
			is, known := m.Inputs[input]
			if given, ok := with[input]; ok {
				return given, known
			}
			return is.Default, known
		}
		if output, ok := strings.CutPrefix(of, "steps."); ok {
			return inner[strings.Replace(output, ".outputs.", ".", 1)], true
		}
		return "", false
	}
	for _, s := range m.Runs.Steps {
		own := maps.Clone(env)
		if own == nil {
			own = map[string]string{}
		}
		maps.Copy(own, r.evalAll(s.Env, value))
		own["GITHUB_ACTION_PATH"] = dir
		all = r.run(s.Run, own)
		for name, value := range all.outputs {
			inner[s.ID+"."+name] = value
		}
	}
	all.outputs = map[string]string{}
	for name, output := range m.Outputs {
		all.outputs[name] = r.eval(output.Value, value)
	}
	return all
}

// value gives what the job's expressions may be.
func (r *runner) value(of string) (string, bool) {
	if name, ok := strings.CutPrefix(of, "github."); ok {
		v, ok := r.github[name]
		return v, ok
	}
	output, ok := strings.CutPrefix(of, "steps.")
	return r.outputs[strings.Replace(output, ".outputs.", ".", 1)], ok
}

var expression = regexp.MustCompile(`\$\{\{ ([a-z_.-]+) \}\}`)

// eval puts values in place of expressions.
func (r *runner) eval(text string, value func(string) (string, bool)) string {
	r.t.Helper()
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		of := expression.FindStringSubmatch(e)[1]
		v, ok := value(of)
		if !ok {
			r.t.Fatalf("%s: there is no such value here", of)
		}
		return v
	})
}

func (r *runner) evalAll(texts map[string]string, value func(string) (string, bool)) map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for name, text := range texts {
		all[name] = r.eval(text, value)
	}
	return all
}
