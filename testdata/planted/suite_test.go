package planted

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// root is the module's directory.
var root = filepath.Join("..", "..")

// mostRun bounds one run of the suite: its slowest cases wait half a minute
// before they call a silence one.
const mostRun = 2 * time.Minute

// A suite is the fault suite, compiled.
type suite struct {
	binary string
	builds chan struct{} // holds one for each build under way
}

// newSuite compiles the suite.
func newSuite(t *testing.T) *suite {
	s := &suite{binary: filepath.Join(t.TempDir(), "faults.test"), builds: make(chan struct{}, runtime.NumCPU())}
	command := exec.Command("go", "test", "-c", "-o", s.binary, "./testdata/faults")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("compile the suite: %v\n%s", err, out)
	}
	return s
}

// build returns the path of a share with the given edits.
func (s *suite) build(t *testing.T, edits []edit) string {
	t.Helper()
	s.builds <- struct{}{}
	defer func() { <-s.builds }()
	binary := filepath.Join(t.TempDir(), "share")
	// Nobody debugs it: linking without symbols is quicker.
	command := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-overlay", overlay(t, edits), "-o", binary, ".")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build share: %v\n%s", err, out)
	}
	return binary
}

// overlay makes the edits in copies of the files and returns the file that
// tells go build of them.
func overlay(t *testing.T, edits []edit) string {
	t.Helper()
	dir := t.TempDir()
	texts := make(map[string]string) // of the files with edits, by path
	for _, e := range edits {
		file := locate(t, e, texts)
		texts[file] = strings.Replace(texts[file], e.old, e.new, 1)
	}
	replace := make(map[string]string)
	for file, text := range texts {
		planted := filepath.Join(dir, strconv.Itoa(len(replace))+"-"+filepath.Base(file))
		if err := os.WriteFile(planted, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[file] = planted
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// locate returns the path of the file that holds an edit's old text; texts
// holds the file then, with the edits made before.
func locate(t *testing.T, e edit, texts map[string]string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(e.dir), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found, times := "", 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		text, ok := texts[file]
		if !ok {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n > 0 {
			found, times = file, times+n
			texts[file] = text
		}
	}
	if times != 1 {
		t.Fatalf("%s holds this %d times, want it once: plant the fault anew\n%s", e.dir, times, e.old)
	}
	return found
}

// A verdict is what the suite says of a case.
type verdict string

const (
	absent verdict = "" // there is no such case, or it did not end
	passed verdict = "PASS"
	failed verdict = "FAIL"
)

func (v verdict) String() string {
	if v == absent {
		return "it did not run to its end"
	}
	return string(v)
}

// results are what the suite says of one share.
type results struct {
	cases  map[string]verdict // by id; all that were to run
	output string
	err    error // how the suite ended; nil if all was well
}

// ended is the line that ends a case: its verdict and id.
var ended = regexp.MustCompile(`--- ([A-Z]+): TestFault/([A-Z][0-9]+)_`)

// run runs the cases of the given ids against a share.
func (s *suite) run(t *testing.T, binary string, ids []string) *results {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mostRun)
	defer cancel()
	command := exec.CommandContext(ctx, s.binary, "-test.v", "-test.parallel", "16",
		"-test.run", "^TestFault$/^("+strings.Join(ids, "|")+") ")
	command.Dir = filepath.Join(root, "testdata", "faults")
	command.Env = append(os.Environ(), "SHARE_BINARY="+binary, "TMPDIR="+t.TempDir())
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	command.WaitDelay = time.Second
	together(command)
	err := command.Run()
	r := &results{cases: make(map[string]verdict), output: out.String(), err: err}
	for _, id := range ids {
		r.cases[id] = absent
	}
	for _, m := range ended.FindAllStringSubmatch(r.output, -1) {
		r.cases[m[2]] = verdict(m[1])
	}
	return r
}

// with returns the ids of the cases of a verdict, sorted.
func (r *results) with(v verdict) []string {
	var ids []string
	for id, got := range r.cases {
		if got == v {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// not returns the ids of the cases of any other verdict, sorted.
func (r *results) not(v verdict) []string {
	var ids []string
	for id, got := range r.cases {
		if got != v {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// lies returns what the suite says of the lies it has found.
func (r *results) lies() []string {
	var lies []string
	for line := range strings.Lines(r.output) {
		if strings.Contains(line, ": lie: TestFault/") {
			lies = append(lies, strings.TrimSpace(line))
		}
	}
	return lies
}
