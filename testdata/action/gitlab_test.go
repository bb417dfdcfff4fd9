//go:build linux

package action

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The example for GitLab previews a merge request.
func TestMergeRequest(t *testing.T) {
	w := newWorld(t)
	w.relay(t, "trust", "gitlab", "project_path:acme/web", "--issuer", w.issuer.URL, "--names", "web-mr-*")
	var example pipeline
	load(t, filepath.Join(folder(t), "gitlab-ci.yml"), &example, false)
	job := example["preview"]
	if len(job.Script) != 2 || len(job.After) != 1 || job.Artifacts.Reports.Dotenv == "" {
		t.Fatalf("got the scripts %q and %q, with %q, want three lines and a file", job.Script, job.After, job.Artifacts.Reports.Dotenv)
	}
	for name := range w.env {
		if strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "ACTIONS_") {
			delete(w.env, name)
		}
	}
	w.env["CI_MERGE_REQUEST_IID"] = "7"
	for name, token := range job.IDTokens {
		w.env[name] = w.issuer.Token(map[string]any{"aud": token.Aud, "sub": "project_path:acme/web:ref_type:branch:ref:x",
			"project_path": "acme/web", "project_id": "1", "namespace_id": "2"})
	}
	for name, value := range job.Variables {
		w.env[name] = strings.ReplaceAll(value, "$CI_MERGE_REQUEST_IID", "7")
	}
	w.path = []string{filepath.Join(w.temp, "bin")}
	port, server := w.serve(t)
	if err := os.Mkdir(w.path[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(w.bin, filepath.Join(w.path[0], "share")); err != nil {
		t.Fatal(err)
	}
	line := strings.NewReplacer(" 8080 ", " "+port+" ", "python3 -m http.server 8080", server).Replace(job.Script[0])
	if res := w.run(line, nil); res.code != 0 {
		t.Fatalf("%s: got code %d\n%s", line, res.code, res.log)
	}
	const url = "https://web-mr-7." + domain
	w.expect(t, url+"/x", "target: /x at "+url+"\n")
	if got, want := read(t, filepath.Join(w.workspace, job.Artifacts.Reports.Dotenv)), "SHARE_URL="+url+"\n"; got != want {
		t.Errorf("got the file %q, want %q", got, want)
	}
	last := w.start(job.Script[1], nil)
	last.await(t, "msg=ready")
	if res := w.run(job.After[0], nil); res.code != 0 || !strings.Contains(res.log, "stopped web-mr-7") {
		t.Errorf("%s: got code %d\n%s", job.After[0], res.code, res.log)
	}
	if res, err := last.wait(); err != nil || res.code != 0 {
		t.Errorf("%s: got code %d, %v", job.Script[1], res.code, err)
	}
}
