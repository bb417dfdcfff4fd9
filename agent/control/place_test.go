package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"share/tunnel/local"
)

// An agent takes the first place that can be used, and those who look for it find
// it in any.
func TestPlaces(t *testing.T) {
	root, long := t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("x", local.MaxPath))
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		places Places
		want   string // the folder that the socket's is in
	}{
		{Places{Runtime: filepath.Join(root, "run"), State: filepath.Join(root, "state"), Temp: root}, filepath.Join(root, "run")},
		{Places{State: filepath.Join(root, "state"), Temp: root}, filepath.Join(root, "state")},
		{Places{State: long, Temp: root}, root},
		{Places{Runtime: long, State: filepath.Join(root, "state")}, filepath.Join(root, "state")},
		{Places{Runtime: file, Temp: root}, root},
		{Places{Runtime: "relative", Temp: root}, root},
		{Places{Temp: root}, root},
	} {
		ln, path, err := tt.places.listen()
		if err != nil {
			t.Errorf("%+v: %v", tt.places, err)
			continue
		}
		if got := filepath.Dir(filepath.Dir(path)); got != tt.want {
			t.Errorf("%+v: got a socket in %s, want one in %s", tt.places, got, tt.want)
		}
		found, err := tt.places.sockets()
		if err != nil || found[path] != os.Getpid() {
			t.Errorf("%+v: found %v, %v, want %s", tt.places, found, err, path)
		}
		ln.Close()
		os.Remove(path)
	}
	for _, places := range []Places{{}, {State: long}, {Runtime: file}} {
		if ln, _, err := places.listen(); err == nil {
			ln.Close()
			t.Errorf("%+v: there is a socket", places)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: got more than a line: %v", places, err)
		}
	}
}

// Nobody but the user can open a socket, or look into its folder.
func TestSocketIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has lists of who may, and no modes")
	}
	ln, path, err := Places{State: t.TempDir()}.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for file, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want mode %#o", file, info.Mode(), err, want)
		}
	}
}

func TestPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has lists of who may, and no modes")
	}
	root := t.TempDir()
	mine, open, link, file := filepath.Join(root, "mine"), filepath.Join(root, "open"), filepath.Join(root, "link"), filepath.Join(root, "file")
	other := "/" // root's, unless that is who runs this
	if os.Geteuid() == 0 {
		other = filepath.Join(root, "other")
	}
	for _, dir := range []string{mine, open, other} {
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(other, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		mine:                          "",
		open:                          "is open to others, with mode 0750",
		link:                          "is a link",
		file:                          "is no folder",
		other:                         "is another user's",
		filepath.Join(root, "nosuch"): "no such file",
	} {
		got := ""
		if err := private(dir); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
	// A folder that is not private is neither listened in nor looked into.
	places := Places{State: root}
	if err := os.Symlink(mine, filepath.Join(root, "run")); err != nil {
		t.Fatal(err)
	}
	if ln, _, err := places.listen(); err == nil {
		ln.Close()
		t.Error("a socket is made behind a link")
	}
	if _, err := places.Agents(context.Background()); err == nil || !strings.Contains(err.Error(), "is a link") {
		t.Errorf("got %v, want that it is a link", err)
	}
}

// What agents that were killed have left is removed by who looks for agents.
func TestStaleSocketsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	leave := func(file string) string {
		path := filepath.Join(run, file)
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		ln.Close()
		return path
	}
	dead, unnamed, young := leave("999999999-0123abcd.sock"), leave("999999998-0123abcd.sock~"), leave("999999997-0123abcd.sock~")
	past := time.Now().Add(-2 * unborn)
	if err := os.Chtimes(unnamed, past, past); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(run, "notes")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	agents, err := Places{State: dir}.Agents(context.Background())
	if err != nil || len(agents) > 0 {
		t.Errorf("got %d agents, %v, want none", len(agents), err)
	}
	for path, want := range map[string]bool{dead: false, unnamed: false, young: true, other: true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s: got %v, want it there: %v", path, err, want)
		}
	}
}

// FuzzParseSocket states that a file is a socket's if, and only if, it is named as
// listen names it.
func FuzzParseSocket(f *testing.F) {
	for _, s := range []string{"1-0123abcd.sock", "1-0123abcd.sock~", "01-0123abcd.sock", "-1-0123abcd.sock", "1-0123ABCD.sock", "+1-0123abcd.sock", ".sock", "-.sock"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		pid, ok := parseSocket(file)
		if !ok {
			return
		}
		random := strings.TrimSuffix(file[len(file)-len("0123abcd.sock"):], ".sock")
		if want := fmt.Sprintf("%d-%s.sock", pid, random); pid <= 0 || file != want || filepath.Base(file) != file {
			t.Errorf("%q: got pid %d", file, pid)
		}
	})
}
