package project

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A change is told once, when the file has rested.
func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "share.yaml")
	write := func(text string) func() error {
		return func() error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	replace := func(text string) func() error {
		return func() error {
			if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
				return err
			}
			return os.Rename(path+"~", path)
		}
	}
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"nothing", func() error { return nil }, nil},
		{"written", write("longer"), []string{"longer"}},
		{"replaced", replace("another"), []string{"another"}},
		{"replaced by the same", replace("another"), nil},
		{"gone", func() error { return os.Remove(path) }, []string{"error"}},
		{"back", write("another"), []string{"another"}},
		{"a folder", func() error { os.Remove(path); return os.Mkdir(path, 0o700) }, []string{"error"}},
		{"back again", replaceFolder(path, "last"), []string{"last"}},
	}
	if err := write("first")(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		told := make(chan string, 2*len(steps))
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, path, []byte("first"), func(text []byte, err error) {
				if err != nil {
					text = []byte("error")
				}
				told <- string(text)
			})
		}()
		// after is what is told until d has passed.
		after := func(d time.Duration) (got []string) {
			time.Sleep(d)
			synctest.Wait()
			for len(told) > 0 {
				got = append(got, <-told)
			}
			return got
		}
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			if got := after(4 * look); !slices.Equal(got, step.want) {
				t.Errorf("%s: got %q, want %q", step.name, got, step.want)
			}
		}
		// What is still being written is not read.
		for _, text := range []string{"h", "ha", "hal", "half"} {
			if err := write(text)(); err != nil {
				t.Fatal(err)
			}
			if got := after(look); len(got) > 0 {
				t.Errorf("half a file is read: %q", got)
			}
		}
		stop()
		<-done
	})
}

func replaceFolder(path, text string) func() error {
	return func() error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o600)
	}
}
