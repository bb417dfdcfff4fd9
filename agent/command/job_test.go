package command

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommandsTo has commands, and a token with them, go where a runner reads, and
// into no file.
func TestCommandsTo(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	read, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer pipe.Close()
	for _, tt := range []struct {
		name   string
		stderr *os.File
		want   bool
	}{
		{"a file", file, false},
		{"nothing", null, false},
		{"a pipe", pipe, true},
	} {
		if got := commandsTo(tt.stderr) != nil; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
