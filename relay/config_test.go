package relay

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckDomain(t *testing.T) {
	tests := []struct{ domain, want string }{
		{"", ""}, {"localhost", ""}, {"Share.Example.com", ""}, {"192.0.2.1", ""}, {"a_b.example.com", ""}, {"xn--bcher-kva.example", ""},
		{strings.Repeat("x.", 92) + "test", ""},
		{strings.Repeat("x.", 93) + "test", "leave no room for a name"},
		{"b\u00fccher.example", "want it as it is in the DNS, xn--bcher-kva.example"},
		{".example.com", "want a name"}, {"example.com.", "want a name"}, {"a..b", "want a name"}, {"a b", "want a name"},
		{"example.com:443", "want a name"}, {"https://example.com", "want a name"}, {"*.example.com", "want a name"}, {"a\nb", "want a name"},
		{strings.Repeat("x", 64) + ".test", "want a name"},
	}
	for _, tt := range tests {
		err := (&Config{Domain: tt.domain}).Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.70q: got %v, want %q", tt.domain, err, tt.want)
		}
	}
	u, err := url.Parse("https://b\u00fccher.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Config{PublicURL: u}).Check(); err == nil {
		t.Error("a public URL that nobody's names are below is taken")
	}
}
