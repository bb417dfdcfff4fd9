package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"share/relay/identity/identitytest"
)

// An issuer that does not answer as one is as good as one that is down.
func TestIssuerBroken(t *testing.T) {
	signer, _ := issue(t)
	for name, c := range map[string]struct {
		about, keys string // SELF is the issuer
		status      int
		want        string
	}{
		"an error":           {"{}", "{}", 503, "it answers 503"},
		"a redirect":         {"{}", "{}", 302, "it answers 302"},
		"no JSON":            {"<html>", "{}", 200, "invalid character"},
		"another's":          {`{"issuer":"https://other.example.com","jwks_uri":"SELF/keys"}`, "{}", 200, `says that it is the issuer "https://other.example.com"`},
		"keys in plain":      {`{"issuer":"SELF","jwks_uri":"http://127.0.0.1/keys"}`, "{}", 200, "no https URL"},
		"no keys":            {`{"issuer":"SELF","jwks_uri":"SELF/keys"}`, `{"keys":[]}`, 200, "it has no key"},
		"keys of no kind":    {`{"issuer":"SELF","jwks_uri":"SELF/keys"}`, `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"new"},7]}`, 200, "it has no key"},
		"too long a text":    {strings.Repeat(" ", maxDocument+1), "{}", 200, "more than"},
		"keys that are none": {`{"issuer":"SELF","jwks_uri":"SELF/keys"}`, `[]`, 200, "cannot unmarshal"},
	} {
		var self string
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := c.about
			if r.URL.Path == "/keys" {
				text = c.keys
			}
			w.Header().Set("Location", self)
			w.WriteHeader(c.status)
			fmt.Fprint(w, strings.ReplaceAll(text, "SELF", self))
		}))
		self = srv.URL
		v := &Verifier{Transport: srv.Client().Transport}
		_, err := v.Verify(t.Context(), signer.Token(claims(map[string]any{"iss": self})), self, "share.example.com")
		if down, ok := errors.AsType[*UnreachableError](err); !ok || down.Issuer != self || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		srv.Close()
	}
}

// The system's trust is all that an issuer is believed by.
func TestIssuerUntrusted(t *testing.T) {
	i := identitytest.New(nil)
	defer i.Close()
	v := &Verifier{}
	_, err := v.Verify(t.Context(), i.Token(claims(nil)), i.URL, "share.example.com")
	if _, ok := errors.AsType[*UnreachableError](err); !ok || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}
