//go:build linux

package action

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A comment is one of a pull request's.
type comment struct {
	ID   int               `json:"id"`
	Body string            `json:"body"`
	User map[string]string `json:"user"`
}

// comments is GitHub's API for those of pull request 12 of acme/web.
type comments struct {
	token string

	mu   sync.Mutex
	list []comment // guarded by mu
}

// add adds one by a user, which has an id then.
func (c *comments) add(body, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, comment{1000 + len(c.list), body, map[string]string{"login": user}})
}

// by returns the bodies of a user's.
func (c *comments) by(user string) (bodies []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.list {
		if one.User["login"] == user {
			bodies = append(bodies, one.Body)
		}
	}
	return bodies
}

func (c *comments) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+c.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var sent struct{ Body string }
	if r.Method != "GET" && json.NewDecoder(r.Body).Decode(&sent) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	const all, one = "/repos/acme/web/issues/12/comments", "/repos/acme/web/issues/comments/"
	id, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, one))
	switch {
	case r.Method == "GET" && r.URL.Path == all:
		c.mu.Lock()
		defer c.mu.Unlock()
		size, _ := strconv.Atoi(r.FormValue("per_page"))
		page, _ := strconv.Atoi(r.FormValue("page"))
		from := min((page-1)*size, len(c.list))
		json.NewEncoder(w).Encode(append([]comment{}, c.list[from:min(from+size, len(c.list))]...))
	case r.Method == "POST" && r.URL.Path == all:
		c.add(sent.Body, bot)
		w.WriteHeader(http.StatusCreated)
	case r.Method == "PATCH" && id >= 1000:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list[id-1000].Body = sent.Body
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// bot is whom a job comments as.
const bot = "github-actions[bot]"

// The example previews a pull request: a comment says where, and is the same after
// the next push. The preview lasts until it is stopped, from elsewhere or because
// the job is cancelled.
func TestPullRequest(t *testing.T) {
	for _, name := range []string{"curl", "jq"} {
		switch _, err := exec.LookPath(name); {
		case err != nil && os.Getenv("CI") == "true":
			t.Fatalf("%s is missing: install the Debian package %s", name, name)
		case err != nil:
			t.Skipf("%s is missing: install the Debian package %s", name, name)
		}
	}
	w := newWorld(t)
	api := &comments{token: "ghs_of-the-job"}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	for i := range 101 { // more than a page
		api.add(fmt.Sprint("comment ", i), "octocat")
	}
	const forged = "<!-- share --> is what I comment"
	api.add(forged, "mallory")
	api.add("tests passed", bot)
	w.env["GITHUB_API_URL"] = server.URL
	w.github = map[string]string{"token": api.token, "event.number": "12", "event.pull_request.head.sha": "0badc0de"}

	var example workflow
	load(t, filepath.Join(folder(t), "pull-request.yml"), &example, true)
	steps := map[string]step{}
	for _, s := range example.Jobs["preview"].Steps {
		switch {
		case s.ID != "":
			steps[s.ID] = s
		case s.Name != "":
			steps[s.Name] = s
		case s.If == "always()":
			steps["stop"] = s
		}
	}
	preview := steps["preview"]
	if preview.With["target"] == "" || preview.With["command"] == "" {
		t.Fatalf("the example shares %q, want a target and a command", preview.With)
	}
	preview.With["binary"] = w.bin
	preview.With["target"], preview.With["command"] = w.serve(t)
	preview.With["command"] = "echo '##[add-mask]preview'; " + preview.With["command"]
	const url = "https://web-pr-12." + domain
	if res := w.do(preview); res.code != 0 || res.outputs["url"] != url {
		t.Fatalf("preview: got code %d, errors %q, outputs %q, want %s\n%s", res.code, res.errors, res.outputs, url, res.log)
	}
	w.expect(t, url+"/x", "target: /x")

	mine := "<!-- share -->\nPreview of 0badc0de, for an hour: " + url
	w.comment(t, steps["Comment"], api, []string{"tests passed", mine})
	w.comment(t, steps["Comment"], api, []string{"tests passed", mine})
	w.github["event.pull_request.head.sha"] = `"$(touch executed)'` // no commit, and no harm
	w.comment(t, steps["Comment"], api, []string{"tests passed", strings.Replace(mine, "0badc0de", `"$(touch executed)'`, 1)})
	if got := api.by("mallory"); len(got) != 1 || got[0] != forged {
		t.Errorf("got the comments %q of another, want what there was", got)
	}
	api.token = "another"
	if res := w.do(steps["Comment"]); res.code == 0 || strings.Contains(res.log, "ghs_") {
		t.Errorf("a comment that is refused: got code %d\n%s", res.code, res.log)
	}

	keep := w.start(steps["Keep"].Run, w.evalAll(steps["Keep"].Env, w.value))
	keep.await(t, "target=/x")
	if res := w.do(steps["stop"]); res.code != 0 || !strings.Contains(res.log, "stopped web-pr-12") {
		t.Errorf("stop: got code %d, errors %q\n%s", res.code, res.errors, res.log)
	}
	if res, err := keep.wait(); err != nil || res.code != 0 || res.masks != nil || !strings.Contains(res.log, "##[add-mask]preview") {
		t.Errorf("keep: got code %d, masks %q, %v\n%s", res.code, res.masks, err, res.log)
	}
}

// comment runs the step that comments, and sees what the job has commented then.
func (w *world) comment(t *testing.T, s step, api *comments, want []string) {
	t.Helper()
	if res := w.do(s); res.code != 0 || res.log != "" {
		t.Fatalf("comment: got code %d\n%s", res.code, res.log)
	}
	got := api.by(bot)
	if len(got) != len(want) {
		t.Fatalf("got the comments %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got the comment %q, want %q", got[i], want[i])
		}
	}
}
