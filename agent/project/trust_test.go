package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

func TestTrust(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	trust := OpenTrust(dir)
	want := func(relays ...string) {
		t.Helper()
		if got, err := OpenTrust(dir).Relays(); err != nil || !slices.Equal(got, relays) {
			t.Errorf("got %q, %v, want %q", got, err, relays)
		}
	}
	want()
	for _, relay := range []string{"https://a", "https://b", "https://a"} {
		if err := trust.Add(t.Context(), relay); err != nil {
			t.Fatal(err)
		}
	}
	want("https://a", "https://b")
	if info, err := os.Stat(trust.path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can see it: %v, %v", info, err)
	}
	for _, was := range []bool{true, false} {
		if got, err := trust.Remove(t.Context(), "https://a"); got != was || err != nil {
			t.Errorf("got %v, %v, want %v", got, err, was)
		}
	}
	want("https://b")
	if err := os.Truncate(trust.path, maxTrust+1); err != nil {
		t.Fatal(err)
	}
	if got, err := trust.Relays(); err == nil {
		t.Errorf("a large file: got %q", got)
	}

	none := OpenTrust("")
	if got, err := none.Relays(); len(got) > 0 || err != nil {
		t.Errorf("without a folder: got %q, %v", got, err)
	}
	if none.Add(t.Context(), "https://a") == nil {
		t.Error("kept nowhere")
	}
}

// What is trusted at the same instant is all on the list.
func TestTrustAtOnce(t *testing.T) {
	dir := t.TempDir()
	var want []string
	var wg sync.WaitGroup
	for i := range 20 {
		relay := fmt.Sprintf("https://relay-%02d", i)
		want = append(want, relay)
		wg.Go(func() {
			if err := OpenTrust(dir).Add(t.Context(), relay); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := OpenTrust(dir).Relays()
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
