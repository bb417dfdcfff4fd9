//go:build linux

package deploy

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A site is the machine that a document is about, in a folder, and the world
// around it.
type site struct {
	*world
	root    string
	target  *httptest.Server // the program that is shared
	relay   *process         // the last that serve has started
	env     []string
	exports string   // of the block, so far
	others  []string // words of the document, and what they are here
}

// newSite makes a machine without a relay, which has the command.
func newSite(t *testing.T) *site {
	t.Helper()
	for _, name := range []string{"curl", "make"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
	bin := build(t)
	s := &site{world: newWorld(t), root: t.TempDir()}
	s.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "target:", r.URL.Path)
	}))
	t.Cleanup(s.target.Close)
	for _, dir := range []string{"bin", "work", "etc/share", "etc/systemd/system", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(s.root, ".curlrc"), []byte("silent\nshow-error\n"), 0o600), os.Symlink(bin, filepath.Join(s.root, "bin/share")),
		os.Symlink(s.cert, filepath.Join(s.root, "work/cert.pem")), os.Symlink(s.key, filepath.Join(s.root, "work/key.pem"))); err != nil {
		t.Fatal(err)
	}
	s.env = append(environment(t), "ROOT="+s.root, "HOME="+s.root, "PATH="+filepath.Join(s.root, "usr/local/bin")+":"+filepath.Join(s.root, "bin")+":"+os.Getenv("PATH"),
		"https_proxy="+s.proxy.URL, "HTTPS_PROXY="+s.proxy.URL, "SSL_CERT_FILE="+s.roots, "CURL_CA_BUNDLE="+s.roots, "SHARE_DNS_RESOLVER="+s.asked)
	_, port, _ := strings.Cut(s.target.Listener.Addr().String(), ":")
	s.others = []string{"http 8080", "http " + port}
	return s
}

// environment is what of this process's own concerns the machine: nothing but
// where Go has its caches.
func environment(t *testing.T) (env []string) {
	t.Helper()
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "GO") || strings.HasPrefix(v, "TMPDIR=") {
			env = append(env, v)
		}
	}
	names := []string{"GOPATH", "GOCACHE", "GOMODCACHE"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+line)
	}
	return env
}

// ready opens the shell in which a command is executed.
func (s *site) ready(c command) {
	if c.first {
		s.exports = ""
	}
}

// here is text of the document with what its words are here.
func (s *site) here(text string) string { return strings.NewReplacer(s.others...).Replace(text) }

// command is what executes text of the document, with before in front of it: in a
// folder of its own, or in the source if that is what it is for.
func (s *site) command(ctx context.Context, before, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-euc", s.exports+before+s.here(text))
	cmd.Dir, cmd.Env = filepath.Join(s.root, "work"), s.env
	if strings.HasPrefix(text, "go ") || strings.HasPrefix(text, "make ") {
		cmd.Dir = tree
	}
	if files, names := s.ports.of(text); len(files) > 0 {
		cmd.ExtraFiles = files
		cmd.Env = append(cmd.Env, fmt.Sprint("LISTEN_FDS=", len(files)), "LISTEN_FDNAMES="+names)
	}
	return cmd
}

// run executes a command to its end, and returns what it writes. What it
// exports is there for those that follow.
func (s *site) run(t *testing.T, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := s.command(ctx, "", text)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, out)
	}
	if strings.HasPrefix(text, "export ") {
		s.exports += s.here(text) + "\n"
	}
	return string(out)
}

// start starts a command that runs until it is stopped.
func (s *site) start(t *testing.T, text string) *process {
	t.Helper()
	return start(t, s.command(context.Background(), "export LISTEN_PID=$$\nexec env ", text))
}

// serve starts a relay in the place of the one that runs, and waits until it
// listens.
func (s *site) serve(t *testing.T, text string) *process {
	t.Helper()
	if s.relay != nil {
		s.relay.stop(t)
	}
	s.relay = s.start(t, text)
	s.relay.await(t, "msg=listening")
	return s.relay
}

// url is where a host is reached at the relay.
func (s *site) url(host string) string {
	return fmt.Sprintf("https://%s:%d", host, s.ports.number("https"))
}

var (
	shared = regexp.MustCompile(`(?m)^(https?://\S+)$`) // the URL of what is shared
	secret = regexp.MustCompile(`shr_\w+`)              // of a token
)

// share shares the target, and returns once a visitor who trusts roots has been
// there. The URL is that of host, or any if that is empty.
func (s *site) share(t *testing.T, text, host string, roots *x509.CertPool) *process {
	t.Helper()
	p := s.start(t, text)
	url := p.match(t, shared)[1]
	if host != "" && url != s.url(host) {
		t.Errorf("%s: got the URL %s, want %s", text, url, s.url(host))
	}
	expect(t, url+"/x", roots, "target: /x")
	return p
}

// certified returns once the relay shows a certificate that roots have signed, for
// the domain and, if there is to be one, for all names.
func (s *site) certified(t *testing.T, roots *x509.CertPool, wildcard bool) {
	t.Helper()
	expect(t, s.url(domain)+"/", roots, "This is a share relay.")
	if wildcard {
		expect(t, s.url("nobody."+domain)+"/", roots, "unknown_name")
	}
}
