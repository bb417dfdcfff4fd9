package relay

import (
	"bytes"
	"runtime/debug"
	"testing"
)

func TestTrimDue(t *testing.T) {
	const mb = 1 << 20
	tests := []struct {
		name                  string
		allocated, live, held uint64
		want                  bool
	}{
		{"nothing to give", 0, 2 * mb, 3 * mb, false},
		{"a load has ended", 0, 2 * mb, 20 * mb, true},
		{"a load", 2 * mb, 2 * mb, 20 * mb, false},
		{"idle agents", 1 * mb, 200 * mb, 205 * mb, false},
		{"idle agents, after a while", 1 * mb, 200 * mb, 230 * mb, true},
		{"idle agents and a load", 2 * mb, 200 * mb, 300 * mb, false},
		{"no collection yet", 0, 0, 1 * mb, false},
	}
	for _, tt := range tests {
		if got := trimDue(tt.allocated, tt.live, tt.held); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What a rush has left behind is not given back while it lasts, but at the
// next look.
func TestTrim(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	m := newMemory()
	for range 16 {
		_ = bytes.Repeat([]byte{1}, 1<<20)
	}
	for i, want := range []bool{false, true} {
		if got := m.look(); got != want {
			t.Errorf("look %d: %v, want %v", i, got, want)
		}
	}
	debug.FreeOSMemory()
	if m.look() {
		t.Error("still due when all is given back")
	}
}
