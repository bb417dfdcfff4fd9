package terminal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClearURL(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("http://old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		want string // in the error; "" for none
	}{
		{link, "no regular file"},
		{dir, "no regular file"},
		{filepath.Join(file, "url"), "not a directory"},
		{filepath.Join(dir, "none", "url"), "no such file"},
		{filepath.Join(dir, "new"), ""},
		{file, ""},
		{file, ""},
	}
	for _, tt := range tests {
		err := ClearURL(tt.path)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.path, err, tt.want)
		}
	}
}

// A file is removed by who wrote it last, be the text the same: the next agent with a
// name has its URL.
func TestURLFileOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	evicted, next := URLFile{Path: path}, URLFile{Path: path}
	keep := func(f *URLFile, text, want string) {
		t.Helper()
		if err := f.Keep(text); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != want || want != "" && err != nil {
			t.Errorf("after %q: got %q, %v, want %q", text, got, err, want)
		}
	}
	keep(&evicted, "", "")
	keep(&evicted, "http://x", "http://x\n")
	if err := ClearURL(path); err != nil {
		t.Fatal(err)
	}
	keep(&next, "http://x", "http://x\n")
	keep(&evicted, "", "http://x\n")
	keep(&next, "http://y", "http://y\n")
	keep(&next, "", "")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	keep(&next, "", "")
	if err := next.Keep("http://x"); err == nil {
		t.Error("got no error for a folder")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	keep(&next, "http://x", "http://x\n")
	if err := ClearURL(path); err != nil { // by a command that has ended at once
		t.Fatal(err)
	}
	keep(&next, "http://x", "http://x\n")
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("got %q, %v left behind", left, err)
	}
}

// A file that could not be replaced is the own one as before.
func TestURLFileNotReplaced(t *testing.T) {
	dir := t.TempDir()
	f := URLFile{Path: filepath.Join(dir, "url")}
	if err := f.Keep("http://x"); err != nil {
		t.Fatal(err)
	}
	path := f.Path
	f.Path = filepath.Join(dir, "none", "url")
	if err := f.Keep("http://y"); err == nil {
		t.Fatal("got no error for a folder that is not there")
	}
	f.Path = path
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("got %v, want no file", err)
	}
}
