//go:build linux

package action

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"
)

// The step that README.md has shares.
func TestReadme(t *testing.T) {
	text := read(t, filepath.Join(folder(t), "../../../README.md"))
	block := regexp.MustCompile("(?s)```yaml\n(- id:.*?)```").FindStringSubmatch(text)
	if block == nil {
		t.Fatal("there is no step")
	}
	var steps []step
	if err := yaml.UnmarshalWithOptions([]byte(block[1]), &steps, yaml.Strict()); err != nil || len(steps) != 1 {
		t.Fatalf("got %d steps, %v, want one\n%s", len(steps), err, block[1])
	}
	w := newWorld(t)
	w.github["event.number"] = "12"
	s := steps[0]
	if s.With["target"] == "" || s.With["command"] == "" {
		t.Errorf("got the inputs %q, want a target and a command", s.With)
	}
	s.With["binary"] = w.bin
	s.With["target"], s.With["command"] = w.serve(t)
	res := w.do(s)
	const url = "https://web-pr-12." + domain
	if res.code != 0 || res.outputs["url"] != url {
		t.Fatalf("got code %d, errors %q, outputs %q, want %s\n%s", res.code, res.errors, res.outputs, url, res.log)
	}
	w.expect(t, url+"/x", "target: /x at "+url)
}
