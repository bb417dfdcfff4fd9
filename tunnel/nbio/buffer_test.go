package nbio

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	tests := []struct {
		name          string
		size, n, want int
	}{
		{"a small one that was filled", Small, Small, Large},
		{"a large one that was filled", Large, Large, Huge},
		{"none is larger", Huge, Huge, Huge},
		{"a small one that was not", Small, Small - 1, Small},
		{"a large one that was not", Large, Small, Large},
		{"a huge one that was not", Huge, Huge - 1, Huge},
		{"much room for little", Huge, Small - 1, Small},
		{"much room for nothing", Large, 0, Small},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := Fit(Buffer(tt.size), tt.n)
			defer Free(b)
			if len(*b) != tt.want {
				t.Errorf("%d bytes after %d into %d, want %d", len(*b), tt.n, tt.size, tt.want)
			}
		})
	}
}

func TestGrow(t *testing.T) {
	text := strings.Repeat("x", Small)
	b := Buffer(Small)
	copy(*b, text)
	for _, want := range []int{Large, Huge, Huge} {
		b = Grow(b)
		if len(*b) != want || string((*b)[:Small]) != text {
			t.Errorf("%d bytes that begin with %q, want %d", len(*b), (*b)[:8], want)
		}
	}
	Free(b)
}
