package domain

import (
	"strings"
	"testing"
)

// A domain agrees by a CNAME to the name, whatever stands behind the name or
// before it; and to that one alone.
func TestVerifyByCNAME(t *testing.T) {
	tests := []struct {
		about  string
		cnames map[string]string // app.acme.test's and of others
		want   string            // in the reason, none if it agrees
	}{
		{"to the name", map[string]string{"app.acme.test": "web.share.test"}, ""},
		{"to a name that stands for the domain", map[string]string{"app.acme.test": "web.share.test", "web.share.test": "share.test"}, ""},
		{"to another name", map[string]string{"app.acme.test": "api.share.test"}, "its CNAME is api.share.test"},
		{"by another", map[string]string{"app.acme.test": "at.acme.test", "at.acme.test": "web.share.test"}, ""},
		{"to another name that stands for the domain", map[string]string{"app.acme.test": "other.share.test", "other.share.test": "share.test", "web.share.test": "share.test"}, "its CNAME is other.share.test"},
		{"to the domain", map[string]string{"app.acme.test": "share.test"}, "its CNAME is share.test"},
		{"not at all", map[string]string{"at.acme.test": "web.share.test"}, "there is no such name"},
	}
	for _, tt := range tests {
		d, resolver := open(t)
		resolver.Set(func() {
			resolver.CNAMEs = tt.cnames
			resolver.Hosts = map[string]string{"share.test": "192.0.2.1"}
		})
		s, err := d.Add(t.Context(), "app.acme.test", "web")
		if err != nil || s.Verified.IsZero() != (tt.want != "") || !strings.Contains(s.Reason, tt.want) {
			t.Errorf("%s: got %+v, %v; want %q", tt.about, s, err, tt.want)
		}
	}
}
