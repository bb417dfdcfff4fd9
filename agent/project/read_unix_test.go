//go:build unix

package project

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe that takes the file's place while it is being read is not waited for.
func TestReadPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "share.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with its reads; one that waits for a writer fails the test
		defer close(done)
		for range 20_000 {
			_, _ = Read(path) // of a pipe it is an error
		}
	}()
	late := time.After(20 * time.Second)
	for {
		if err := syscall.Mkfifo(path+"~", 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"~", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			return
		case <-late:
			t.Fatal("a read waits for a pipe's writer")
		default:
		}
	}
}
