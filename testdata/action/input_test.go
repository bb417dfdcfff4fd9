//go:build linux

package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No input is executed, is taken for a flag, or forges an output or a command,
// whatever stands in it. The input command, which is to be executed, has
// TestCommand.
func TestInputs(t *testing.T) {
	r := newRunner(t)
	r.env["SHARE_STATE_DIR"] = filepath.Join(t.TempDir(), "state")
	bin := build(t)
	values := []string{
		`"; touch executed; "`,
		`'; touch executed; '`,
		"$(touch executed)",
		"`touch executed`",
		"a\ntouch executed\nurl=https://evil.example.com",
		"a\r\n::add-mask::share",
		"##[set-output name=url]https://evil.example.com",
		"--on-ready=touch executed",
		"-- touch executed",
		"-e",
		"../../executed",
		"* ~ $HOME {a,b} \\",
	}
	for _, input := range []string{"target", "relay", "name", "wait", "binary"} {
		for _, value := range values {
			with := map[string]string{"target": "1", "binary": bin}
			with[input] = value
			res := r.use(folder(t), with, nil)
			if res.code != 2 || res.outputs["url"]+res.outputs["name"] != "" || res.summary != "" || len(res.errors) != 1 || res.others != nil || res.masks != nil {
				t.Errorf("%s: %q: got code %d, outputs %q, summary %q, errors %q, commands %q, masks %q, want 2 and one error\n%s",
					input, value, res.code, res.outputs, res.summary, res.errors, res.others, res.masks, res.log)
			}
		}
	}
	r.use(folder(t), map[string]string{"target": "-", "binary": bin}, nil) // which stop needs
	for _, value := range values {
		res := r.use(filepath.Join(folder(t), "stop"), map[string]string{"name": value}, nil)
		if res.code != 0 || res.errors != nil || res.others != nil || res.masks != nil || res.log != "share has ended before\n" {
			t.Errorf("stop: %q: got code %d, errors %q, commands %q, masks %q\n%s", value, res.code, res.errors, res.others, res.masks, res.log)
		}
	}
	if res := r.use(filepath.Join(folder(t), "stop"), map[string]string{"name": ""}, nil); res.code != 0 || res.log != "" {
		t.Errorf("stop of nothing: got code %d\n%s", res.code, res.log)
	}
	for _, dir := range []string{r.workspace, r.temp, r.env["HOME"]} {
		if _, err := os.Stat(filepath.Join(dir, "executed")); err == nil {
			t.Errorf("an input was executed in %s", dir)
		}
	}
	// share.new is what start.sh has not finished.
	left, err := filepath.Glob(filepath.Join(r.temp, "share/bin/*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], "/share") {
		t.Errorf("got the programs %q, %v, want share alone", left, err)
	}
}
