package dns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseKey(t *testing.T) {
	tests := []struct {
		about, text string
		want        Key
		err         string // in the error
	}{
		{"as tsig-keygen writes it", "key \"Share.Test\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n", Key{"share.test.", dns.HmacSHA256, "c2VjcmV0"}, ""},
		{"with comments", "# a\n// b\n/* c\n d */key share { secret c2VjcmV0; algorithm HMAC-SHA512; }; // e", Key{"share.", dns.HmacSHA512, "c2VjcmV0"}, ""},
		{"empty", "", Key{}, "want key"},
		{"something else", "zone \"x\" { };", Key{}, "want key"},
		{"without an end", "key x { algorithm hmac-sha256; secret c2VjcmV0;", Key{}, "ends with };"},
		{"more behind", "key x { algorithm hmac-sha256; secret c2VjcmV0; }; key y {};", Key{}, "ends with };"},
		{"no algorithm", "key x { secret c2VjcmV0; };", Key{}, "algorithm"},
		{"an old algorithm", "key x { algorithm hmac-md5; secret c2VjcmV0; };", Key{}, "algorithm"},
		{"no secret", "key x { algorithm hmac-sha256; };", Key{}, "not base64"},
		{"a secret that is none", "key x { algorithm hmac-sha256; secret hidden!; };", Key{}, "not base64"},
		{"something unknown", "key x { colour blue; };", Key{}, "a key has no"},
		{"a comment without an end", "/* x", Key{}, "comment"},
		{"a quote without an end", "key \"x", Key{}, "quote"},
		{"too long", strings.Repeat(" ", maxKeyFile+1), Key{}, "bytes at most"},
		{"no name", "key \"\" { algorithm hmac-sha256; secret c2VjcmV0; };", Key{}, "no name"},
	}
	for _, tt := range tests {
		got, err := ParseKey(strings.NewReader(tt.text))
		if tt.err == "" {
			if err != nil || got != tt.want {
				t.Errorf("%s: got %v, %v; want %v", tt.about, got, err, tt.want)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", tt.about, err, tt.err)
		}
	}
}

// FuzzParseKey wants of each key that is taken that it is taken again as it is
// written.
func FuzzParseKey(f *testing.F) {
	f.Add("key \"share\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n")
	f.Add("/* */ key x{secret c2VjcmV0;algorithm hmac-sha1;};")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := ParseKey(strings.NewReader("key \"" + k.Name + "\" { algorithm " + k.Algorithm + "; secret \"" + k.Secret + "\"; };"))
		if err != nil || again != k {
			t.Errorf("%q: %v, then %v, %v", text, k, again, err)
		}
	})
}
