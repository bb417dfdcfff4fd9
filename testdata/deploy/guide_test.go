//go:build linux

package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"share/testdata/bench/rig"
)

// systemctl does what the guide has it do: it runs the one unit that is installed.
// Credentials are copied when that starts, and stay as they are.
const systemctl = `#!/bin/sh
set -eu
unit=$ROOT/etc/systemd/system/share-relay.service
pid() {
	{ cat "$ROOT/pid"; tail -n "+$(cat "$ROOT/before")" "$ROOT/log" | sed -n 's/.*msg=upgrading pid=\([0-9]*\).*/\1/p'; } | tail -n 1
}
case "$*" in
daemon-reload) ;;
"stop share-relay")
	main=$(pid)
	kill "$main"
	while grep -vsq ') Z ' "/proc/$main/stat"; do sleep 0.05; done
	;;
"enable --now share-relay" | "start share-relay")
	credentials=$ROOT/credentials
	mkdir -p "$credentials" "$ROOT/var/lib/share-relay"
	chmod 0700 "$ROOT/var/lib/share-relay"
	cat "$unit" "$unit".d/*.conf >"$ROOT/unit"
	sed -n 's/^LoadCredential=//p' "$ROOT/unit" | while IFS=: read -r name path; do cp "$path" "$credentials/$name"; done
	for v in $(cat "$ROOT/etc/share/relay.env") $(sed -n "s,%d,$credentials,g; s/^Environment=//p" "$ROOT/unit"); do export "$v"; done
	touch "$ROOT/log"
	echo $(($(wc -l <"$ROOT/log") + 1)) >"$ROOT/before"
	$(sed -n "s,%S,$ROOT/var/lib,; s/^ExecStart=//p" "$ROOT/unit") >>"$ROOT/log" 2>&1 &
	echo $! >"$ROOT/pid"
	;;
"reload share-relay")
	MAINPID=$(pid) sh -c "$(sed -n 's/^ExecReload=//p' "$unit")"
	;;
"kill -s USR2 --kill-whom=main share-relay")
	kill -USR2 "$(pid)"
	;;
*)
	echo "the test does not know systemctl $*" >&2
	exit 1
	;;
esac
`

// root is a command that only root could carry out.
const root = "#!/bin/sh\n"

// A block is commands of the guide, and the heading that they are under.
type block struct{ heading, commands string }

func blocks(t *testing.T) (all []block) {
	t.Helper()
	heading, fence := "", false
	for line := range strings.Lines(read(t, "README.md")) {
		switch {
		case strings.HasPrefix(line, "```"):
			if fence = !fence; fence {
				if line != "```sh\n" {
					t.Fatalf("a block that begins with %q: want commands that can be executed", line)
				}
				all = append(all, block{heading: heading})
			}
		case fence:
			all[len(all)-1].commands += line
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimSpace(line[3:])
		}
	}
	return all
}

// A site is the server that the guide speaks of, in a folder.
type site struct {
	root   string
	https  string
	roots  *x509.CertPool
	change *strings.Replacer // what of the guide is another thing here
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{root: t.TempDir(), https: free(t)}
	bin := build(t)
	for _, dir := range []string{"bin", "work", "etc/share", "etc/systemd/system", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.certify(t)
	unit := strings.ReplaceAll(read(t, "share-relay.service"), "/usr/local/bin", filepath.Join(s.root, "usr/local/bin"))
	if err := errors.Join(os.Symlink(bin, filepath.Join(s.root, "work/share")),
		os.Symlink(bin, filepath.Join(s.root, "work/share-new")),
		os.WriteFile(filepath.Join(s.root, "work/share-relay.service"), []byte(unit), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"systemctl": systemctl, "groupadd": root, "chgrp": root} {
		if err := os.WriteFile(filepath.Join(s.root, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.change = strings.NewReplacer(
		"/usr/local/bin", filepath.Join(s.root, "usr/local/bin"),
		"/etc/", filepath.Join(s.root, "etc")+"/",
		"/var/lib", filepath.Join(s.root, "var/lib"),
		"/root/", s.root+"/",
		"SHARE_HTTPS=:443", "SHARE_HTTPS="+s.https,
		"SHARE_REDIRECT=:80", "SHARE_REDIRECT="+free(t),
	)
	t.Cleanup(func() {
		for _, pid := range s.pids() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if t.Failed() {
			t.Log(s.log())
		}
	})
	return s
}

// certify puts another certificate where the guide has it, as what renews it
// does.
func (s *site) certify(t *testing.T) {
	t.Helper()
	cert, _, err := rig.WriteCert(filepath.Join(s.root, "etc/share"), "share.example.com", "*.share.example.com")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(pem)
}

func (s *site) log() string {
	text, _ := os.ReadFile(filepath.Join(s.root, "log"))
	return string(text)
}

// pids are those of all processes that were the relay.
func (s *site) pids() (pids []int) {
	text, _ := os.ReadFile(filepath.Join(s.root, "pid"))
	words := strings.Fields(string(text))
	for line := range strings.Lines(s.log()) {
		if _, rest, ok := strings.Cut(line, "msg=upgrading pid="); ok {
			words = append(words, strings.Fields(rest)[0])
		}
	}
	for _, w := range words {
		if pid, err := strconv.Atoi(w); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// run executes commands of the guide.
func (s *site) run(t *testing.T, commands string) string {
	t.Helper()
	cmd := exec.Command("sh", "-euc", s.change.Replace(commands))
	cmd.Dir = filepath.Join(s.root, "work")
	cmd.Env = append(os.Environ(), "ROOT="+s.root, "HOME="+s.root, "PATH="+filepath.Join(s.root, "bin")+":"+filepath.Join(s.root, "usr/local/bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", commands, err, out)
	}
	return string(out)
}

// home asks the relay for its own page.
func (s *site) home(ctx context.Context) error {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots, ServerName: "share.example.com"}, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+s.https+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "share.example.com"
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		return fmt.Errorf("the relay answers %s", resp.Status)
	}
	return nil
}

// What the guide says can be done, one after the other, and is so then.
func TestGuide(t *testing.T) {
	s := newSite(t)
	done := map[string]int{}
	for _, b := range blocks(t) {
		took, listened := strings.Count(s.log(), "took the relay over"), strings.Count(s.log(), "door=https")
		out := s.run(t, b.commands)
		done[b.heading]++
		switch {
		case strings.Contains(b.commands, "enable --now"):
			until(t, "the relay", func() bool { return strings.Contains(s.log(), "door=https") })
			if !strings.Contains(s.log(), "Its first token") {
				t.Error("the first token is not in the log")
			}
			s.certify(t)
			until(t, "the certificate that was renewed", func() bool { return s.home(t.Context()) == nil })
		case strings.Contains(b.commands, "token create"):
			if !strings.Contains(out, "\nshr_") {
				t.Errorf("got %q instead of a token", out)
			}
		case strings.Contains(b.commands, "USR2"):
			until(t, b.heading, func() bool { return strings.Count(s.log(), "took the relay over") > took })
		case strings.Contains(b.commands, "systemctl start"):
			until(t, b.heading, func() bool { return strings.Count(s.log(), "door=https") > listened })
			if out := s.run(t, "share relay token ls --data /var/lib/share-relay"); !strings.Contains(out, "laptop") {
				t.Errorf("after %s the tokens are %s", b.heading, out)
			}
		case strings.Contains(b.commands, "reload"):
			until(t, b.heading, func() bool { return strings.Contains(s.log(), "msg=reloaded") })
		}
		if err := s.home(t.Context()); err != nil {
			t.Errorf("after %s: %v", b.heading, err)
		}
	}
	for _, heading := range []string{"Start", "Upgrade", "Roll back", "Back up"} {
		if done[heading] == 0 {
			t.Errorf("%s has no commands", heading)
		}
	}
}
