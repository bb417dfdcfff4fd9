package runner

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestQuoting(t *testing.T) {
	tests := []struct{ text, plain, json string }{
		{"", "", ""},
		{"# a [b] #[c] ##", "# a [b] #[c] ##", "# a [b] #[c] ##"},
		{"a ##[set-output name=url]b", `a ##\x5bset-output name=url]b`, `a ##\u005bset-output name=url]b`},
		{"###[##[", `###\x5b##\x5b`, `###\u005b##\u005b`},
	}
	for _, tt := range tests {
		for json, want := range map[bool]string{false: tt.plain, true: tt.json} {
			var got strings.Builder
			if n, err := (Quoting{&got, json}).Write([]byte(tt.text)); got.String() != want || n != len(tt.text) || err != nil {
				t.Errorf("%q: got %q, %d, %v, want %q", tt.text, &got, n, err, want)
			}
		}
	}
	r, w := io.Pipe()
	r.Close()
	if n, err := (Quoting{W: w}).Write([]byte("a")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %d, %v, want 0 and the writer's error", n, err)
	}
}

// FuzzQuoting has no command left, and JSON that means what it did.
func FuzzQuoting(f *testing.F) {
	f.Add("a ##[b]c")
	f.Add(`##[##\[`)
	f.Fuzz(func(t *testing.T, text string) {
		line, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var plain, quoted strings.Builder
		Quoting{W: &plain}.Write([]byte(text))
		Quoting{&quoted, true}.Write(line)
		var got, want string
		if err := json.Unmarshal([]byte(quoted.String()), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if got != want || strings.Contains(plain.String()+" "+quoted.String(), "##[") {
			t.Errorf("%q: got %q and %q", text, &plain, &quoted)
		}
	})
}
