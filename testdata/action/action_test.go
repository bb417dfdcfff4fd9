//go:build linux

package action

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"share/testdata/bench/rig"
)

// A step shares until another one stops it.
func TestShare(t *testing.T) {
	w := newWorld(t)
	const url = "https://web-pr-12." + domain
	res := w.do(w.share(nil))
	if res.code != 0 || res.errors != nil || res.others != nil {
		t.Fatalf("got code %d, errors %q, commands %q, want none\n%s", res.code, res.errors, res.others, res.log)
	}
	if got := res.outputs; got["url"] != url || got["name"] != "web-pr-12" {
		t.Errorf("got the outputs %q, want %s and web-pr-12", got, url)
	}
	if want := "### share\n\n<" + url + ">\n"; res.summary != want {
		t.Errorf("got the summary %q, want %q", res.summary, want)
	}
	if strings.Contains(res.log, "eyJ") {
		t.Errorf("got an identity token in the log:\n%s", res.log)
	}
	w.expect(t, url+"/x", "target: /x")
	if res := w.run("share url; share ls", nil); !strings.HasPrefix(res.log, url+"\n") {
		t.Errorf("share url in a later step: got\n%s\nwant %s", res.log, url)
	}

	// Visitors write no commands.
	w.visit(t, url+"/::add-mask::pr")
	res = w.do(stop)
	if res.code != 0 || res.errors != nil || res.others != nil || !strings.Contains(res.log, "stopped web-pr-12") || !strings.Contains(res.log, "target=/::add-mask::pr ") {
		t.Errorf("stop: got code %d, errors %q, commands %q\n%s", res.code, res.errors, res.others, res.log)
	}
	if strings.Contains(res.log, "level=WARN") {
		t.Errorf("got a warning:\n%s", res.log)
	}
	if status, _ := w.visit(t, url+"/x"); status != 503 && status != 404 {
		t.Errorf("after stop: got status %d, want 503 or 404", status)
	}
	if res := w.do(stop); res.code != 0 || !strings.Contains(res.log, "share has ended before") {
		t.Errorf("stop, again: got code %d\n%s", res.code, res.log)
	}
	if got := read(t, logFile(t, w)); !strings.Contains(got, `msg=stopped code=0 reason="share stop"`) || strings.Contains(got, "summary") {
		t.Errorf("the agent's log: got\n%s", got)
	}
}

// logFile is that of the only agent there was.
func logFile(t *testing.T, w *world) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(w.env["HOME"], ".local/state/share/logs/*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("got the logs %q, %v, want one", logs, err)
	}
	return logs[0]
}

// What the input command starts is bash's, whatever stands in it, and ends with the
// tunnel.
func TestCommand(t *testing.T) {
	w := newWorld(t)
	port, server := w.serve(t)
	w.env["SHARE_TTL"] = "1h"
	res := w.do(w.share(map[string]string{"target": port, "command": "# it's \"one\" $(of) many\nprintf '%s\\n' \"it's $SHARE_URL\" \\\n  >out\necho '##[add-mask]share'; echo '::add-mask::share'\nfalse || " + server + "\n"}))
	if res.code != 0 || res.masks != nil {
		t.Fatalf("got code %d, masks %q, want 0 and none\n%s", res.code, res.masks, res.log)
	}
	url := res.outputs["url"]
	if got, want := read(t, filepath.Join(w.workspace, "out")), "it's "+url+"\n"; got != want {
		t.Errorf("the command wrote %q, want %q", got, want)
	}
	switch _, body := w.visit(t, url+"/x"); {
	case strings.Contains(body, "leaked"):
		t.Errorf("the command knows too much: %s", body)
	case body != "target: /x at "+url+"\n":
		t.Errorf("got %q from the command", body)
	}
	if res := w.do(stop); res.code != 0 || res.masks != nil || !strings.Contains(res.log, "::add-mask::share") {
		t.Fatalf("stop: got code %d, masks %q\n%s", res.code, res.masks, res.log)
	}
	if res := w.run("cat < /dev/tcp/127.0.0.1/"+port, nil); res.code == 0 {
		t.Errorf("the command goes on behind the tunnel")
	}
}

// A step that cannot share fails with the reason.
func TestFails(t *testing.T) {
	w := newWorld(t)
	nobody, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(nobody, ":")
	copied := filepath.Join(t.TempDir(), ".github/actions/share")
	if err := os.CopyFS(copied, os.DirFS(folder(t))); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		dir    string // of the action, if it is elsewhere
		with   map[string]string
		env    map[string]string
		code   int
		reason string
	}{
		{"target down", "", map[string]string{"target": port, "relay": "", "name": "", "wait": "2s"}, nil, 7, "share: the target did not come up in 2s: target_refused"},
		{"command ends", "", map[string]string{"target": port, "command": "exit 9"}, nil, 9, ""},
		{"relay down", "", map[string]string{"relay": "http://" + nobody, "wait": "300ms"}, nil, 6, "share: no tunnel at http://" + nobody + " after 300ms"},
		{"name not trusted", "", map[string]string{"name": "main"}, nil, 5, "share: relay refused: the token is for the names web-*, and not for main"},
		{"another repository", "", nil, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": w.issuer.URL + "/token?sub=repo:acme/api:pull_request&repository=acme/api"}, 4, "no trust is for this identity"},
		{"a fork", "", nil, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, 2, "and the job has no identity: put a token into SHARE_TOKEN, or give the job the permission id-token: write"},
		{"no target", "", map[string]string{"target": ""}, nil, 2, "nothing is named: write a port such as 8080"},
		{"no time", "", map[string]string{"wait": "soon"}, nil, 2, "soon"},
		{"no program", "", map[string]string{"binary": "./nowhere"}, nil, 2, "share: the input binary is no program: ./nowhere"},
		{"a copy", copied, map[string]string{"binary": ""}, nil, 2, "share: the action is not in its own repository"},
		{"no Go", "", map[string]string{"binary": ""}, map[string]string{"PATH": few(t, "bash", "mkdir", "grep")}, 2, "share: there is no Go to build share with"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.runner.t = t
			w.temp = filepath.Join(t.TempDir(), "temp")
			w.env["RUNNER_TEMP"] = w.temp
			if err := os.MkdirAll(w.temp, 0o700); err != nil {
				t.Fatal(err)
			}
			res := w.use(cmp.Or(tt.dir, folder(t)), w.share(tt.with).With, tt.env)
			if res.code != tt.code || res.outputs["url"]+res.outputs["name"] != "" || res.summary != "" {
				t.Errorf("got code %d, outputs %q, summary %q, want %d and none\n%s", res.code, res.outputs, res.summary, tt.code, res.log)
			}
			if len(res.errors) > 1 || !strings.Contains(strings.Join(res.errors, "\n"), tt.reason) {
				t.Errorf("got the errors %q, want one with %q\n%s", res.errors, tt.reason, res.log)
			}
		})
	}
}

// few is a folder that has these programs alone.
func few(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A token is masked before it could be shown, and is not shown.
func TestToken(t *testing.T) {
	w := newWorld(t)
	delete(w.env, "ACTIONS_ID_TOKEN_REQUEST_URL")
	const wrong = "not-the-token-of-ci"
	w.env["SHARE_TOKEN"] = wrong
	res := w.do(w.share(nil))
	if res.code != 4 || len(res.errors) != 1 || !strings.Contains(res.errors[0], "bad token") || strings.Contains(res.log, wrong) {
		t.Errorf("got code %d, errors %q, want 4 and one about a bad token\n%s", res.code, res.errors, res.log)
	}
	token := tokens.FindString(w.relay(t, "token", "create", "--label", "ci"))
	w.env["SHARE_TOKEN"] = token
	if res = w.do(w.share(nil)); res.code != 0 {
		t.Fatalf("got code %d, errors %q\n%s", res.code, res.errors, res.log)
	}
	w.expect(t, res.outputs["url"]+"/x", "target: /x")
	if len(res.masks) != 1 || res.masks[0] != token || strings.Contains(res.log, token) {
		t.Errorf("got the masks %q, want the token alone, and that not in\n%s", res.masks, res.log)
	}
	if res := w.do(stop); res.code != 0 || strings.Contains(res.log, token) {
		t.Errorf("stop: got code %d\n%s", res.code, res.log)
	}
}

// Without a program the action builds one from its own repository.
func TestBuild(t *testing.T) {
	r := newRunner(t)
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE"} {
		r.env[name] = goEnv(t, name)
	}
	r.env["GOOS"], r.env["GOFLAGS"] = "plan9", "-mod=vendor" // for what the job builds
	res := r.do(step{ID: "share", Uses: "acme/share/.github/actions/share@main", With: map[string]string{"target": "1", "wait": "1ms"}})
	if res.code != 7 && res.code != 6 {
		t.Fatalf("got code %d, want that of a target that is down\n%s", res.code, res.log)
	}
	if res := r.run("share version", nil); res.code != 0 || !strings.HasPrefix(res.log, "share ") {
		t.Errorf("share version: got code %d\n%s", res.code, res.log)
	}
}
