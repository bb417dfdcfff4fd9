package http1

import (
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	tests := []struct {
		in, name string
		port     int
	}{
		{"a.localhost", "a.localhost", -1},
		{"A.LocalHost:80", "a.localhost", 80},
		{"a.localhost.", "a.localhost", -1},
		{"a.localhost.:65535", "a.localhost", 65535},
		{"a:", "a", -1},
		{"a:0", "a", 0},
		{"a:00080", "a", 80},
		{"127.0.0.1:1", "127.0.0.1", 1},
		{"[::1]", "::1", -1},
		{"[0:0:0:0:0:0:0:1]:2", "::1", 2},
		{"[2001:DB8::A]:", "2001:db8::a", -1},
		{"%4a%4A", "%4a%4a", -1},
	}
	for _, tt := range tests {
		name, port, err := CanonicalHost([]byte(tt.in))
		if string(name) != tt.name || port != tt.port || err != nil {
			t.Errorf("%q: got %q, %d, %v; want %q, %d", tt.in, name, port, err, tt.name, tt.port)
		}
	}
}

func TestLooksLike(t *testing.T) {
	tests := []struct {
		name, field string
		want        bool
	}{
		{"X_Forwarded-For", "x-forwarded-for", true},
		{"x-forwarded-for", "x-forwarded-for", true},
		{"X_FORWARDED_FOR", "x-forwarded-for", true},
		{"X.Forwarded.For", "x-forwarded-for", false},
		{"X-Forwarded", "x-forwarded-for", false},
	}
	for _, tt := range tests {
		if got := LooksLike([]byte(tt.name), tt.field); got != tt.want {
			t.Errorf("LooksLike(%q, %q) = %v", tt.name, tt.field, got)
		}
	}
}

func TestValid(t *testing.T) {
	for _, v := range []string{"", "a", "a b\tc", "\xc3\xa9"} {
		if !ValidValue([]byte(v)) {
			t.Errorf("value %q refused", v)
		}
	}
	for _, v := range []string{" a", "a\t", "a\r\nb", "a\nb", "a\x00", "0123456789\x7f"} {
		if ValidValue([]byte(v)) {
			t.Errorf("value %q taken", v)
		}
	}
	if ValidName(nil) || ValidName([]byte("a:")) || !ValidName([]byte("a")) {
		t.Error("ValidName")
	}
}
