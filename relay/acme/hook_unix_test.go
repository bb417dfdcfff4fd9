//go:build unix

package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A hook that does not end is ended with what it has started: otherwise each try
// would leave one more process.
func TestHookEndsWhole(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := NewHook(writeHook(t, fmt.Sprintf("exec 3>%s\n(echo >&3; exec sleep 1000)\ntrue\n", fifo)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- h.Present(ctx, "_acme-challenge.share.test.", "value")
		if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close() // it has not opened it
		}
	}()
	f, err := os.Open(fifo) // once the hook has
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.SetReadDeadline(time.Now().Add(patience))
	if _, err := f.Read(make([]byte, 1)); err != nil {
		t.Fatal(err) // what it has started runs
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it is taken for a success")
	}
	f.SetReadDeadline(time.Now().Add(patience))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("what the hook has started goes on: %v", err)
	}
}
