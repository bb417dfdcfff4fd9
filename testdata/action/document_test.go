//go:build linux

package action

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A step is one of a job, or of a composite action.
type step struct {
	ID, Name, If, Uses, Shell, Run string
	With, Env                      map[string]string
}

// A manifest is an action.yml.
type manifest struct {
	Name, Description string
	Inputs            map[string]struct {
		Description, Default string
		Required             bool
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

// A workflow is the example of one.
type workflow struct {
	Name, On    string
	Permissions map[string]string
	Concurrency struct {
		Group  string
		Cancel bool `yaml:"cancel-in-progress"`
	}
	Jobs map[string]struct {
		If      string
		RunsOn  string `yaml:"runs-on"`
		Timeout int    `yaml:"timeout-minutes"`
		Steps   []step
	}
}

// A pipeline is the example for GitLab, as far as a job is concerned.
type pipeline map[string]struct {
	IDTokens  map[string]struct{ Aud string } `yaml:"id_tokens"`
	Variables map[string]string
	Script    []string
	After     []string `yaml:"after_script"`
	Artifacts struct{ Reports struct{ Dotenv string } }
}

// load reads a document; a field that v does not have is an error, if strict.
func load(t *testing.T, path string, v any, strict bool) {
	t.Helper()
	var options []yaml.DecodeOption
	if strict {
		options = append(options, yaml.Strict())
	}
	if err := yaml.UnmarshalWithOptions([]byte(read(t, path)), v, options...); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// What anybody may have written stands in no script, which it would become a part
// of, and each input is described and used.
func TestManifests(t *testing.T) {
	for _, name := range []string{"action.yml", "stop/action.yml"} {
		var m manifest
		load(t, filepath.Join(folder(t), name), &m, true)
		if m.Runs.Using != "composite" || m.Name == "" || m.Description == "" {
			t.Errorf("%s: got %q, %q, using %q, want a composite action that is described", name, m.Name, m.Description, m.Runs.Using)
		}
		var used []string
		for _, s := range m.Runs.Steps {
			if strings.Contains(s.Run, "${{") || s.Shell != "bash" {
				t.Errorf("%s: got the script %q for %q, want one for bash without expressions", name, s.Run, s.Shell)
			}
			for _, value := range s.Env {
				used = append(used, value)
			}
		}
		for input, is := range m.Inputs {
			if is.Description == "" || !slices.Contains(used, "${{ inputs."+input+" }}") {
				t.Errorf("%s: the input %s is not described, or not used", name, input)
			}
		}
		for output, is := range m.Outputs {
			if want := "${{ steps.share.outputs." + output + " }}"; is.Description == "" || is.Value != want {
				t.Errorf("%s: the output %s is not described, or is %q, want %q", name, output, is.Value, want)
			}
		}
	}
}

// The example is harmless for pull requests from forks, and has no secret.
func TestExampleIsSafe(t *testing.T) {
	var w workflow
	path := filepath.Join(folder(t), "pull-request.yml")
	load(t, path, &w, true)
	if w.On != "pull_request" {
		t.Errorf("on: got %q, want pull_request alone", w.On)
	}
	want := map[string]string{"contents": "read", "id-token": "write", "pull-requests": "write"}
	if len(w.Permissions) != len(want) {
		t.Errorf("permissions: got %v, want %v", w.Permissions, want)
	}
	for what, how := range want {
		if w.Permissions[what] != how {
			t.Errorf("permissions: got %q for %s, want %q", w.Permissions[what], what, how)
		}
	}
	job := w.Jobs["preview"]
	if want := "github.event.pull_request.head.repo.full_name == github.repository"; job.If != want {
		t.Errorf("if: got %q, want %q", job.If, want)
	}
	for _, s := range job.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Errorf("%s: got the script\n%s\nwant one without expressions", s.Name, s.Run)
		}
	}
	if m := regexp.MustCompile(`secrets\.\w+`).FindString(read(t, path)); m != "" {
		t.Errorf("got %s, want no secret", m)
	}
}
