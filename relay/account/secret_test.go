package account

import (
	"regexp"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	form := regexp.MustCompile(`^shr_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 1000 {
		s := newSecret()
		if !form.MatchString(s) || !wellFormed(s) || seen[s] {
			t.Fatalf("%q: form %v, checksum %v, seen %v", s, form.MatchString(s), wellFormed(s), seen[s])
		}
		seen[s] = true
	}
}

// What was made once stays valid, and scanners know how.
func TestSecretOfLongAgo(t *testing.T) {
	const zero, sum = "shr_0000000000000000000000000000000000000000000", "2V1i0s"
	if got := checksum(zero); got != sum {
		t.Errorf("checksum %s, want %s", got, sum)
	}
	if !wellFormed(zero + sum) {
		t.Error("not taken for a secret")
	}
}

// One wrong, missing or additional character is noticed.
func TestMistyped(t *testing.T) {
	s := newSecret()
	for i := range s {
		for _, c := range []byte{'0', 'z', '_'} {
			if typed := s[:i] + string(c) + s[i+1:]; typed != s && wellFormed(typed) {
				t.Errorf("%q is taken for a secret, as %q", typed, s)
			}
		}
		if cut := s[:i] + s[i+1:]; wellFormed(cut) {
			t.Errorf("%q is taken for a secret, as %q", cut, s)
		}
	}
	for _, no := range []string{"", "shr_", s + "0", strings.ToLower(s), "x" + s[1:]} {
		if no != s && wellFormed(no) {
			t.Errorf("%q is taken for a secret", no)
		}
	}
}
