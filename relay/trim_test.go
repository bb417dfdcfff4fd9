package relay

import "testing"

func TestTrimDue(t *testing.T) {
	const mb = 1 << 20
	tests := []struct {
		name                  string
		allocated, live, held uint64
		want                  bool
	}{
		{"nothing to give", 0, 2 * mb, 5 * mb, false},
		{"a load has ended", 0, 2 * mb, 20 * mb, true},
		{"a load", 2 * mb, 2 * mb, 20 * mb, false},
		{"idle agents", 1 * mb, 200 * mb, 210 * mb, false},
		{"idle agents, after a while", 1 * mb, 200 * mb, 230 * mb, true},
		{"idle agents and a load", 5 * mb, 200 * mb, 300 * mb, false},
		{"no collection yet", 0, 0, 3 * mb, false},
	}
	for _, tt := range tests {
		if got := trimDue(tt.allocated, tt.live, tt.held); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What a rush has left behind is seen at the first look, when it is not calm,
// and given back at a later one; then there is no more to give.
func TestTrim(t *testing.T) {
	m := newMemory()
	rush := make([][]byte, 64)
	for i := range rush {
		rush[i] = make([]byte, 1<<20)
	}
	if m.look() {
		t.Error("due in a rush")
	}
	rush[0][0]++
	if !m.look() {
		t.Error("not due after it")
	}
}
