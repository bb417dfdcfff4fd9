package service

import (
	"encoding/xml"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// odd is a service whose words want care everywhere.
func odd() *Service {
	return &Service{
		Name:        "web",
		Program:     "/opt/my share/share",
		Args:        []string{"http", "8080", "--name", "web", "--url-file", `a "b" <c> 100% \ $HOME & d`, "--", "npm", "run", "dev", ""},
		Folder:      "/home/me/my app",
		Environment: []string{"SHARE_STATE_DIR=/home/me/100%", "PATH=/usr/bin:/bin"},
	}
}

// TestPlan compares what systems are told with testdata, which -update writes.
func TestPlan(t *testing.T) {
	for goos, name := range map[string]string{"linux": "share-web.service", "darwin": "share-web.plist", "windows": "share-web.xml"} {
		plan, err := odd().plan(Place{GOOS: goos, Home: "/home/me", State: "/state", UID: 501, User: `HOME\me`})
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Base(plan.path); got != name {
			t.Errorf("%s: the file is %s, want %s", goos, got, name)
		}
		var b strings.Builder
		b.WriteString(plan.text)
		for _, command := range append(append(append([][]string{}, plan.install...), plan.uninstall...), plan.after, plan.status) {
			b.WriteString(strings.ReplaceAll(strings.Join(command, " "), `\`, "/") + "\n")
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", goos, got, want)
		}
		if goos == "linux" {
			continue
		}
		for d := xml.NewDecoder(strings.NewReader(plan.text)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", goos, err)
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	s := odd()
	if _, err := s.plan(Place{GOOS: "plan9", Home: "/"}); err == nil || !strings.Contains(err.Error(), "no services of plan9") {
		t.Errorf("another system: %v", err)
	}
	if _, err := s.plan(Place{GOOS: "linux"}); err == nil || !strings.Contains(err.Error(), "HOME is not set") {
		t.Errorf("no home: %v", err)
	}
	for _, spoil := range []func(){func() { s.Args[1] = "a\nExecStart=b" }, func() { s.Folder = "/a\rb" }, func() { s.Environment[0] = "A=\x00" }} {
		s = odd()
		spoil()
		if _, err := s.plan(Place{GOOS: "linux", Home: "/"}); err == nil || !strings.Contains(err.Error(), "control character") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// systemd understands the unit, and each word is what it was.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not installed")
	}
	s, dir := odd(), t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Folder = filepath.Join(dir, `100% \`)
	if err := os.Mkdir(s.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Program = filepath.Join(dir, "my 100% $share")
	if err := os.Symlink(program, s.Program); err != nil {
		t.Fatal(err)
	}
	plan, err := s.plan(Place{GOOS: "linux", Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(plan.path, plan.text); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("systemd-analyze", "--user", "verify", "--man=no", "--recursive-errors=no", plan.path)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestWindowsWord(t *testing.T) {
	for s, want := range map[string]string{
		"":      `""`,
		"8080":  "8080",
		`a\b`:   `a\b`,
		"a b":   `"a b"`,
		`a b\`:  `"a b\\"`,
		`a"b`:   `"a\"b"`,
		`a\"b`:  `"a\\\"b"`,
		`a \\b`: `"a \\b"`,
	} {
		if got := windowsWord(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}
