package terminal

import "testing"

// Lines are those that a View writes.
func TestLines(t *testing.T) {
	stdout, _ := run(Config{Mode: JSON}, life()...)
	_, stderr := run(Config{Mode: Plain}, life()...)
	for mode, want := range map[Mode]string{JSON: stdout, Plain: stderr} {
		var got []byte
		line := Lines(mode, "localhost:8080")
		for _, e := range life() {
			got = line(got, e)
		}
		compare(t, "lines", string(got), want)
	}
}
