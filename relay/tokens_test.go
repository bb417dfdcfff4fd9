package relay

import (
	"errors"
	"strings"
	"testing"

	"share/tunnel"
)

func TestParseTokens(t *testing.T) {
	good, err := ParseTokens(strings.NewReader("# who may come in\n\n ann  secret-1 \r\nbob secret-2\nann secret-3\n  # no more"))
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"secret-1": "ann", "secret-2": "bob", "secret-3": "ann", "secret-4": "", "": "", "ann": ""} {
		if got, ok := good.account(token); got != want || ok != (want != "") {
			t.Errorf("%q is the token of %q, %v; want %q", token, got, ok, want)
		}
	}
	tests := []struct{ name, file, want string }{
		{"empty", "", "no token"},
		{"comments alone", "# a b\n", "no token"},
		{"no label", "ann secret\nhunter2\n", "line 2: want"},
		{"three words", "ann secret hunter2", "line 1: want"},
		{"a control character", "\n\nann hunter2\x00", "line 3: a token"},
		{"not ASCII", "ann hunter2ä", "line 1: a token"},
		{"a long token", "ann " + strings.Repeat("hunter2", maxToken/7+1), "line 1"},
		{"a long line", "ann x\n" + strings.Repeat("hunter2", 2*maxToken), "line 2"},
		{"a long label", strings.Repeat("l", maxLabel+1) + " hunter2", "line 1: a label"},
		{"a label that is not printable", "a\x1bb hunter2", "line 1: a label"},
	}
	for _, tt := range tests {
		got, err := ParseTokens(strings.NewReader(tt.file))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !got.Empty() {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error shows the token, or has two lines: %q", tt.name, err)
		}
	}
}

// FuzzParseTokens: what is accepted is what the lines say, and no error shows
// any of it.
func FuzzParseTokens(f *testing.F) {
	f.Add("ann secret\nbob secret2\n")
	f.Add("# ann secret\r\n\tann\tsecret")
	f.Add("ann\u00a0secret")
	f.Add("ann secret\xff")
	f.Fuzz(func(t *testing.T, file string) {
		tokens, err := ParseTokens(strings.NewReader(file))
		if err != nil {
			if !tokens.Empty() || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q beside %d tokens", err, len(tokens.labels))
			}
			return
		}
		last := make(map[string]string)
		n := 0
		for line := range strings.Lines(file) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			words := strings.Fields(line)
			if len(words) != 2 {
				t.Fatalf("line %q is accepted", line)
			}
			n++
			last[words[1]] = words[0]
		}
		if n == 0 || n != len(tokens.labels) {
			t.Fatalf("%d tokens of %d lines", len(tokens.labels), n)
		}
		for token, label := range last {
			if got, ok := tokens.account(token); !ok || got != label {
				t.Fatalf("%q is the token of %q, %v; want %q", token, got, ok, label)
			}
		}
	})
}

// Tokens that take the place of others let their agents in, and end the sessions
// of those that are gone.
func TestSetTokens(t *testing.T) {
	list := func(pairs ...string) (tokens Tokens) {
		for i := 0; i < len(pairs); i += 2 {
			if err := tokens.Add(pairs[i], pairs[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		return tokens
	}
	s := serve(t, Config{Tokens: list("stays", "one", "goes", "two", "renamed", "three")}, nil, doorHTTP)
	agents := map[string]*agent{}
	for _, secret := range []string{"one", "two", "three"} {
		a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, nil)
		if err != nil {
			t.Fatal(err)
		}
		agents[secret] = a
	}
	until(t, "the sessions", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.sessions) == 3
	})
	s.SetTokens(list("stays", "one", "new", "four", "other", "three"))
	for _, secret := range []string{"two", "three"} {
		if m := agents[secret].receive(); m != nil {
			t.Errorf("%s: got %+v instead of the session's end", secret, m)
		}
	}
	if err := agents["one"].Ping(t.Context()); err != nil {
		t.Errorf("the session of a token that stays: %v", err)
	}
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "four"}, nil); err != nil {
		t.Errorf("a new token: %v", err)
	}
	_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "two"}, nil)
	if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectToken {
		t.Errorf("a token that is gone: %v", err)
	}
}
