package child

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func split(parts ...string) (lines []string) {
	s := splitter{line: func(l string) { lines = append(lines, l) }}
	for _, p := range parts {
		s.feed([]byte(p))
	}
	s.flush()
	return lines
}

func TestSplitter(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, tt := range []struct{ parts, want []string }{
		{nil, nil},
		{[]string{"a\nb\r\n\nc"}, []string{"a", "b", "", "c"}},
		{[]string{"a", "b", "\n", "c\n"}, []string{"ab", "c"}},
		{[]string{long + "\nb\n"}, []string{long, "b"}},
		{[]string{long, "\nb\n"}, []string{long, "b"}},
		{[]string{long + "y\n\n"}, []string{long, "y", ""}},
		{[]string{long + long + "\nz"}, []string{long, long, "z"}},
	} {
		if got := split(tt.parts...); !slices.Equal(got, tt.want) {
			t.Errorf("%.40q: got %.40q, want %.40q", tt.parts, got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext é":                     "plain\ttext é",
		"10%\r20%\r":                        "20%",
		"\x1b[2J\x1b[H\x1bcclear":           "clear",
		"\x1b[31mred\x1b[39m":               "\x1b[31mred\x1b[39m\x1b[0m",
		"\x1b[38:2::1:2:3mx":                "\x1b[38:2::1:2:3mx\x1b[0m",
		"\x1b[?1mx\x1b[>4;1mx":              "xx",
		"\x1b]0;title\x07a\x1b]8;;u\x1b\\b": "ab",
		"\x1b]0;never ends":                 "",
		"\x1bPq\x1b\\a\x1b(Bb\x1b7c\x1b":    "abc",
		"a\x00b\x07c\x7fd\u009b31me":        "abcd31me",
		"a\xffb\x9bc":                       "a\ufffdb\ufffdc",
		"\x1b[31":                           "",
		"\x1b[3é":                           "é",
	} {
		if got := clean([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A question without the end of a line is shown while its answer is waited for.
func TestQuestion(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		splitLines(r, true, func(l string) { lines <- l })
	}()
	for _, tt := range [][2]string{{"sure? ", "sure? "}, {"\nok\n", "ok"}} {
		if _, err := w.WriteString(tt[0]); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-lines:
			if got != tt[1] {
				t.Errorf("got %q, want %q", got, tt[1])
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q is not seen", tt[1])
		}
	}
	w.Close()
	<-done
}

// FuzzSplitter states that a line is what clean makes of bytes in order, that it is
// bounded and steers no terminal, and that how the bytes come changes nothing.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a\nb\r\n\x1b[31mc\x1b[0m\x1b]0;t\x07"), 3)
	f.Add(append(bytes.Repeat([]byte("x"), maxLine), "\ny"...), maxLine)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		if at < 0 || at > len(b) {
			at = len(b) / 2
		}
		got := split(string(b))
		if parts := split(string(b[:at]), string(b[at:])); !slices.Equal(got, parts) {
			t.Errorf("got %q at once, %q in parts", got, parts)
		}
		for _, line := range got {
			rest := line
			for {
				before, after, found := strings.Cut(rest, "\x1b[")
				if strings.ContainsFunc(before, control) || !utf8.ValidString(before) {
					t.Errorf("%q steers a terminal", line)
				}
				if !found {
					break
				}
				i := strings.IndexByte(after, 'm')
				if i < 0 || strings.Trim(after[:i], "0123456789;:") != "" {
					t.Fatalf("%q has a sequence that is no colour", line)
				}
				rest = after[i+1:]
			}
			if len(line) > 3*maxLine+len("\x1b[0m") {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}
