package clients

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fixed is a time for what must not change between two requests.
var fixed = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestGit clones, commits and pushes over smart HTTP through the tunnel; what
// a direct clone then has must be the same, object by object.
func TestGit(t *testing.T) {
	git := tool(t, "git", "git")
	root := t.TempDir()
	repo := filepath.Join(root, "repo.git")
	run(t, root, git, "init", "-q", "--bare", "-b", "main", repo)
	run(t, repo, git, "config", "http.receivepack", "true")
	backend := strings.TrimSpace(run(t, root, git, "--exec-path")) + "/git-http-backend"
	direct := serve(t, whole(&cgi.Handler{
		Path: backend,
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=test"},
	}))
	through := tunnel(t, direct.http)
	t.Setenv("GIT_SSL_CAINFO", through.ca) // stronger than any configuration
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)

	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secure], func(t *testing.T) {
			work := t.TempDir()
			remote := through.url(secure) + "/repo.git"
			_, port, _ := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(through.url(secure), "https://"), "http://"))
			options := []string{
				"-c", "http.curloptResolve=" + through.host + ":" + port + ":127.0.0.1",
				"-c", "http.proxy=",
				"-c", "http.postBuffer=65536", // what is larger goes in chunks
				"-c", "user.name=test", "-c", "user.email=test@localhost",
			}
			with := func(args ...string) []string { return append(options[:len(options):len(options)], args...) }

			run(t, work, git, with("clone", "-q", remote, "one")...)
			one := filepath.Join(work, "one")
			commitNoise(t, git, one, with)
			run(t, one, git, with("push", "-q", "origin", "HEAD:main")...)
			run(t, work, git, with("clone", "-q", remote, "two")...)
			run(t, work, git, "clone", "-q", direct.url(false)+"/repo.git", "three")

			want := tree(t, git, one)
			for _, clone := range []string{"two", "three"} {
				dir := filepath.Join(work, clone)
				run(t, dir, git, "fsck", "--full", "--strict")
				if got := tree(t, git, dir); got != want {
					t.Errorf("clone %s has\n%s\nwant\n%s", clone, got, want)
				}
			}
		})
	}
}

// whole reads a request's body before h has it: a CGI program must know its
// length, and git sends large ones in chunks.
func whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		h.ServeHTTP(w, r)
	})
}

// commitNoise commits files that do not compress, 3 MiB in all.
func commitNoise(t *testing.T, git, dir string, with func(...string) []string) {
	t.Helper()
	source := rand.NewChaCha8([32]byte([]byte("clients: git: thirty-two bytes..")))
	for _, name := range []string{"a", "b", "c"} {
		data := make([]byte, 1<<20)
		source.Read(data)
		old, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && bytes.Equal(old, data) {
			data[0]++ // the second time there must be something to push
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, git, with("add", "--all")...)
	run(t, dir, git, with("commit", "-q", "-m", "noise")...)
}

// tree lists every object that main leads to.
func tree(t *testing.T, git, dir string) string {
	t.Helper()
	return run(t, dir, git, "rev-list", "--objects", "HEAD")
}
