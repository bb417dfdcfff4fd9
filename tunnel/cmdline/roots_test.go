package cmdline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadRoots(t *testing.T) {
	large, none := filepath.Join(t.TempDir(), "large"), filepath.Join(t.TempDir(), "none")
	for _, file := range []string{large, none} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(large, maxRoots+1); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{large: "has more than", none: "has no certificate", t.TempDir(): "", filepath.Join(t.TempDir(), "nosuch"): "nosuch"} {
		if pool, err := LoadRoots(file); err == nil || pool != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want %q", filepath.Base(file), pool, err, want)
		}
	}
}
