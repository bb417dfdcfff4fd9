package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRestoreBolt restores into a folder: once, and again if that is asked for.
func TestRestoreBolt(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "relay.db")
	restore := func(replace bool) (string, error) {
		return RestoreBolt(t.Context(), path, bytes.NewReader(goldenBackup(t)), replace)
	}
	if kept, err := restore(false); kept != "" || err != nil {
		t.Fatalf("into an empty folder: %q, %v", kept, err)
	}
	b := reopen(t, path)
	if got := all(t, b); len(got) != 3 || got["name/web"] == "" {
		t.Errorf("restored %q", got)
	}
	if _, err := restore(true); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is open: %v", err)
	}
	set(t, b, "later", "x", 0)
	want := all(t, b)
	shut(t, b)
	if _, err := restore(false); !errors.Is(err, ErrExists) {
		t.Errorf("over another: %v", err)
	}
	var olds []string
	for range 3 { // the second within the same second
		kept, err := restore(true)
		if err != nil || slices.Contains(olds, kept) || filepath.Dir(kept) != folder {
			t.Fatalf("replace: %q, %v", kept, err)
		}
		olds = append(olds, kept)
	}
	b = reopen(t, path)
	if got := all(t, b); got["later"] != "" {
		t.Errorf("restored %q", got)
	}
	if got := all(t, reopen(t, olds[0])); !maps.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// TestRestoreBoltRefused looks that nothing has changed after a refusal, and
// that nothing is left lying about.
func TestRestoreBoltRefused(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "relay.db")
	b := reopen(t, path)
	set(t, b, "old", "x", 0)
	shut(t, b)
	golden := string(goldenBackup(t))
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx    context.Context
		backup string
		want   string
	}{
		"empty":   {t.Context(), "", "no backup"},
		"foreign": {t.Context(), "{}\n", "line 1: it is no backup"},
		"newer":   {t.Context(), strings.Replace(golden, `"schema":1`, `"schema":2`, 1), "line 1: it has schema 2 and this version knows 1: use a newer share"},
		"cut":     {t.Context(), golden[:len(golden)-20], "it ends in line 5"},
		"changed": {t.Context(), strings.Replace(golden, "name/web", "name/wob", 1), "line 5: it does not match its SHA-256"},
		"corrupt": {t.Context(), strings.Replace(golden, `"value"`, `"volue"`, 1), "line 2"},
		"ended":   {ended, golden, context.Canceled.Error()},
	} {
		_, err := RestoreBolt(c.ctx, path, strings.NewReader(c.backup), true)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if _, bad := errors.AsType[*BackupError](err); bad == errors.Is(err, context.Canceled) {
			t.Errorf("%s: %T", name, err)
		}
	}
	if _, err := RestoreBolt(t.Context(), folder, strings.NewReader(golden), true); err == nil {
		t.Error("a folder is replaced")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "relay.db" && e.Name() != "relay.db.lock" {
			t.Errorf("%s is left", e.Name())
		}
	}
	if got := all(t, reopen(t, path)); !maps.Equal(got, map[string]string{"old": "x"}) {
		t.Errorf("what was there is %q", got)
	}
}

// What a restore has left that was killed is no store, and no hindrance.
func TestRestoreBoltAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	for _, name := range []string{path + ".restored", path + ".restored.new"} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := RestoreBolt(t.Context(), path, bytes.NewReader(goldenBackup(t)), false); err != nil {
		t.Fatal(err)
	}
	if got := all(t, reopen(t, path)); len(got) != 3 {
		t.Errorf("restored %q", got)
	}
}

func TestKeepBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range maxKept {
		if _, err := keep(path, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if name, err := keep(path, time.Unix(0, 0)); err == nil {
		t.Errorf("%s is one too many", name)
	}
}
