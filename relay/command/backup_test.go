package command

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestReplaceFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, s)
			return err
		}
	}
	broken := errors.New("broken")
	for _, step := range []struct {
		write func(io.Writer) error
		err   error
		want  string
	}{
		{text("one"), nil, "one"},
		{text("two"), nil, "two"},
		{func(w io.Writer) error { return errors.Join(text("three")(w), broken) }, broken, "two"},
	} {
		if err := replaceFile(path, step.write); !errors.Is(err, step.err) {
			t.Fatalf("got %v, want %v", err, step.err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.want {
			t.Errorf("got %q, %v, want %q", got, err, step.want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %#o", mode)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want one file", entries, err)
	}
	for _, bad := range []string{folder, filepath.Join(folder, "nowhere", "file"), os.DevNull} {
		if err := replaceFile(bad, text("x")); err == nil {
			t.Errorf("%s is replaced", bad)
		}
	}
}
