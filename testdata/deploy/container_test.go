//go:build linux

package deploy

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A recipe is what a Containerfile says of its last stage, and of what it runs
// before that.
type recipe struct {
	runs       []string // commands of the stage that builds
	copies     [][2]string
	owned      map[string]bool // destinations that are the user's
	user       int
	entrypoint []string
}

// steps reads the recipe. It knows no more than what that uses.
func steps(t *testing.T) (r recipe) {
	t.Helper()
	r.owned = map[string]bool{}
	last := false
	for line := range strings.Lines(read(t, "Containerfile")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "FROM":
			last = rest == "scratch"
		case word == "RUN" && !last:
			r.runs = append(r.runs, rest)
		case word == "COPY" && last:
			fields := strings.Fields(rest)
			from, to := fields[len(fields)-2], fields[len(fields)-1]
			r.copies = append(r.copies, [2]string{from, to})
			if m := regexp.MustCompile(`--chown=(\d+):`).FindStringSubmatch(rest); m != nil {
				r.owned[to] = true
			}
		case word == "USER":
			uid, _, _ := strings.Cut(rest, ":")
			var err error
			if r.user, err = strconv.Atoi(uid); err != nil {
				t.Fatalf("USER %s: want a number, as there is no /etc/passwd", rest)
			}
		case word == "ENTRYPOINT":
			if err := json.Unmarshal([]byte(rest), &r.entrypoint); err != nil {
				t.Fatalf("ENTRYPOINT %s: %v", rest, err)
			}
		case word == "" || word[0] == '#' || word == "WORKDIR" || word == "COPY" || word == "VOLUME" || word == "EXPOSE":
		default:
			t.Fatalf("the test does not know %s", word)
		}
	}
	return r
}

// The recipe's steps, done by hand, make a folder in which a user who is not
// root runs a relay with nothing else at hand.
func TestContainer(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("changing the root folder takes root")
	}
	r := steps(t)
	if r.user == 0 || len(r.runs) == 0 || len(r.entrypoint) == 0 {
		t.Fatalf("the recipe has %+v", r)
	}
	out := t.TempDir()
	for _, run := range r.runs {
		cmd := exec.Command("sh", "-ec", strings.ReplaceAll(run, "/out/", out+"/"))
		cmd.Dir = filepath.Join("..", "..")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("RUN %s: %v\n%s", run, err, text)
		}
	}
	root := t.TempDir()
	for _, c := range r.copies {
		from := c[0]
		if rest, ok := strings.CutPrefix(from, "/out/"); ok {
			from = filepath.Join(out, rest)
		} else if _, err := os.Stat(from); err != nil {
			t.Logf("%s is the image's, and not here", from)
			continue
		}
		to := filepath.Join(root, c[1])
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command("cp", "-a", "-L", from, to).CombinedOutput(); err != nil {
			t.Fatalf("COPY %v: %v\n%s", c, err, text)
		}
		owner := 0
		if r.owned[c[1]] {
			owner = r.user
		}
		if err := filepath.WalkDir(to, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, owner, owner)
		}); err != nil {
			t.Fatal(err)
		}
	}
	// Its user may go through to what it may use.
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Path, cmd.Err = path.Clean(args[0]), nil
		cmd.Dir = "/"
		cmd.Env = []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(r.user), Gid: uint32(r.user)}}
		return cmd
	}
	addr := free(t)
	p := start(t, inside(append(r.entrypoint, "--http", addr)...))
	p.await(t, "msg=listening")
	if err := home(t.Context(), addr); err != nil {
		t.Error(err)
	}
	made, err := inside("/share", "relay", "token", "create", "--label", "ci", "--data", "/data").Output()
	if err != nil || !strings.HasPrefix(string(made), "shr_") {
		t.Errorf("a token in the container: %q, %v", made, err)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.await(t, "msg=stopped")
}

// The compose file is of what the recipe makes, and what it says of the relay makes
// one that serves.
func TestCompose(t *testing.T) {
	t.Parallel()
	text := read(t, "compose.yaml")
	for _, want := range []string{"dockerfile: relay/deploy/Containerfile", `volumes: ["data:/data"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("it has no %s", want)
		}
	}
	s := newSite(t)
	s.delegate(s.ports.addr("dns"))
	env := ""
	for _, v := range regexp.MustCompile(`(?m)^ +(SHARE_[A-Z_]+): "?([^"\n]*)"?$`).FindAllStringSubmatch(text, -1) {
		env += v[1] + "=" + v[2] + " "
	}
	s.serve(t, env+"share relay --data "+filepath.Join(s.root, "data"))
	s.certified(t, s.public, true)
}
