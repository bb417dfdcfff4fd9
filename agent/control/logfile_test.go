package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A log is bounded: what comes last is in it, and what came before beside it.
func TestLogFile(t *testing.T) {
	places := Places{State: t.TempDir()}
	l, err := places.OpenLog()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.max = 10
	for _, line := range []string{"one\n", "two\n", "three\n", "four\n", "much too long for it\n", "six\n"} {
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%q: got %d, %v", line, n, err)
		}
	}
	for path, want := range map[string]string{l.Path: "six\n", l.Path + ".1": "much too long for it\n"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", filepath.Base(path), got, err, want)
		}
	}
	// One that is gone comes back when it is full.
	if err := os.RemoveAll(filepath.Dir(l.Path)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("seven..\n")); err == nil {
		t.Error("a line went into a folder that there is not")
	}
	if err := os.Mkdir(filepath.Dir(l.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("eight\n")); err != nil {
		t.Errorf("the log does not come back: %v", err)
	}
}

func TestLogFileNowhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, places := range []Places{{}, {State: file}} {
		if l, err := places.OpenLog(); err == nil {
			l.Close()
			t.Errorf("%+v: there is a log", places)
		}
	}
}

// Of logs of agents that have ended the newest stay, and all of those that run.
func TestLogsArePruned(t *testing.T) {
	places := Places{State: t.TempDir()}
	dir := filepath.Join(places.State, "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, path, err := places.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	runs := strings.Replace(path, fmt.Sprint(os.Getpid()), "999999999", 1)
	if err := os.Rename(path, runs); err != nil {
		t.Fatal(err)
	}
	for i := range keptLogs + 3 {
		file := filepath.Join(dir, fmt.Sprintf("%d.log", 999999999-i))
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := noon.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := places.OpenLog()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range keptLogs + 3 {
		_, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%d.log", 999999999-i)))
		if want := i == 0 || i >= 3; (err == nil) != want {
			t.Errorf("log %d: got %v, want it there: %v", i, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "notes")); err != nil {
		t.Errorf("what is no log is gone: %v", err)
	}
}
