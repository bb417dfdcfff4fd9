package acme

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	tests := []struct {
		about string
		cfg   Config
		want  string // in the error, none if empty
	}{
		{"as usual", Config{Domain: "Share.example.com", Email: "ops@example.com"}, ""},
		{"without an address", Config{Domain: "share.example.com"}, ""},
		{"a CA of one's own", Config{Domain: "share.internal", Directory: "https://ca.internal:9000/acme/acme/directory"}, ""},
		{"no domain", Config{}, "name the relay's own domain"},
		{"loopback", Config{Domain: "localhost"}, "name the relay's own domain"},
		{"an address", Config{Domain: "192.0.2.1"}, "name the relay's own domain"},
		{"an internal name", Config{Domain: "share.internal"}, "no name of the public DNS"},
		{"one label", Config{Domain: "share"}, "no name of the public DNS"},
		{"a wildcard", Config{Domain: "*.share.example.com"}, "want a name"},
		{"spaces", Config{Domain: "share example.com"}, "want a name"},
		{"no URL", Config{Domain: "share.example.com", Directory: "ca.test"}, "want https://"},
		{"a plain URL", Config{Domain: "share.example.com", Directory: "http://ca.test/dir"}, "want https://"},
		{"no email", Config{Domain: "share.example.com", Email: "ops"}, "want an address"},
		{"two emails", Config{Domain: "share.example.com", Email: "a@b.test,c@d.test"}, "want an address"},
	}
	for _, tt := range tests {
		_, err := New(tt.cfg)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.about, err)
			}
			continue
		}
		if _, ok := errors.AsType[*ConfigError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.about, err, tt.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, records := range []Records{nil, nowhere{}} {
		c, err := New(Config{Domain: "share.test", Directory: "https://ca.test/", Records: records})
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]bool{"share.test": true, "any.share.test": true, "other.test": false} {
			if got := c.Covers(host); got != want {
				t.Errorf("%s with records %v: got %t", host, records, got)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	c, err := New(Config{Domain: "share.test", Directory: "https://ca.test/"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Open(file); err == nil {
		t.Error("a file is taken for a folder")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := c.Open(dir); err == nil && os.Geteuid() != 0 && runtime.GOOS != "windows" {
		t.Error("a folder is taken that cannot be written to")
	}
}

func TestPauses(t *testing.T) {
	var total time.Duration
	last := time.Duration(0)
	for n := range 10 {
		p := pause(n)
		if p < last {
			t.Errorf("the pause after failure %d is %v, shorter than the one before", n, p)
		}
		last = p
		if total += p; n == 4 && total < time.Hour {
			t.Errorf("five failures take %v: a CA allows as many in an hour", total)
		}
	}
}

func TestHook(t *testing.T) {
	if _, err := NewHook(filepath.Join(t.TempDir(), "nosuch")); err == nil {
		t.Error("a program is taken that is not there")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the hooks are a shell's")
	}
	tests := []struct {
		about, text string
		want        string // in the error, none if empty
	}{
		{"well", `[ "$*" = "present _acme-challenge.share.test. -value" ]`, ""},
		{"with words", "echo no such zone >&2; echo sorry >&2; exit 3", "hook PATH present: exit status 3: no such zone sorry"},
		{"without a word", "exit 1", "hook PATH present: exit status 1"},
		{"with too many words", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1", "xxxthe end"},
		{"killed", "kill -9 $$", "signal: killed"},
	}
	for _, tt := range tests {
		path := writeHook(t, tt.text)
		h, err := NewHook(path)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Present(t.Context(), "_acme-challenge.share.test.", "-value")
		want := strings.ReplaceAll(tt.want, "PATH", path)
		if (want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), want) || len(err.Error()) > 2*maxComplaint) {
			t.Errorf("%s: got %v, want %s", tt.about, err, want)
		}
	}

	// One that does not end is ended.
	h, err := NewHook(writeHook(t, "exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := h.Remove(ctx, "_acme-challenge.share.test.", "value"); err == nil || time.Since(began) > patience {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
