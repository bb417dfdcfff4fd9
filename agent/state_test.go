package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"share/tunnel/cmdline"
)

func TestStateIsStable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share")
	open := func() *state {
		t.Helper()
		s, err := openState(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := open(), open()
	if a.holder() != b.holder() || a.seed("/src", "8080") != b.seed("/src", "8080") {
		t.Error("a second process derives another holder or seed")
	}
	seeds := map[string]bool{}
	for _, s := range []string{
		a.seed("/src", "8080"), a.seed("/src", "8081"), a.seed("/srv", "8080"), a.seed("/src8", "080"), a.seed("", "/src8080"),
		newState().seed("/src", "8080"),
	} {
		if !regexp.MustCompile(`^[a-z2-7]{16}$`).MatchString(s) {
			t.Errorf("seed %q, want 80 bits in base32", s)
		}
		seeds[s] = true
	}
	if len(seeds) != 6 {
		t.Errorf("%d seeds for 6 tunnels: %v", len(seeds), seeds)
	}
	if h := a.holder(); len(h) != 32 || h == newState().holder() {
		t.Errorf("holder %q", h)
	}
	if runtime.GOOS != "windows" {
		info, err := os.Stat(filepath.Join(dir, "key"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("key has mode %v, want 0600", info.Mode())
		}
	}
}

func TestStateMadeByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	holders := make([]string, 16)
	var wg sync.WaitGroup
	for i := range holders {
		wg.Go(func() {
			s, err := openState(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			holders[i] = s.holder()
		})
	}
	wg.Wait()
	for _, h := range holders {
		if h != holders[0] {
			t.Fatalf("holders differ: %v", holders)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "key.*"))
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], ".lock") {
		t.Errorf("left behind: %v, %v; want the lock alone", left, err)
	}
}

func TestStateDamaged(t *testing.T) {
	for _, text := range []string{"", "zz", strings.Repeat("00", keyLen-1), strings.Repeat("00", keyLen+1)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openState(t.Context(), dir)
		if e, ok := errors.AsType[*cmdline.Error](err); !ok || e.Code != cmdline.ExitConfig || e.Hint == "" {
			t.Errorf("key %q: %v, want a *cmdline.Error with code 3 and a hint", text, err)
		}
	}
}

func TestStateUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openState(t.Context(), filepath.Join(file, "share"))
	if _, ok := errors.AsType[*cmdline.Error](err); ok || err == nil {
		t.Errorf("a folder under a file: %v, want an error that does not end the agent", err)
	}
	if s, err := openState(context.Background(), ""); err != nil || s.dir != "" {
		t.Errorf("no folder: %+v, %v", s, err)
	}
}
