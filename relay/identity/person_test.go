package identity

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// persons are the claims of a person's good token, with changes: nil takes one away.
func persons(changes map[string]any) map[string]any {
	all := map[string]any{"sub": "ann", "aud": "share-cli", "email": "ann@example.com", "email_verified": true, "groups": []any{"dev", 7, nil, map[string]any{}}, "address": map[string]any{"x": "y"}}
	maps.Copy(all, changes)
	return all
}

func TestVerifyPerson(t *testing.T) {
	i, v := issue(t)
	token := i.Token(persons(nil))
	p, err := v.VerifyPerson(t.Context(), token, i.URL, "share-cli")
	if err != nil {
		t.Fatal(err)
	}
	if p.Issuer != i.URL || p.Subject != "ann" || time.Until(p.Until) < maxAge || time.Until(p.Until) > maxAge+skew {
		t.Errorf("%+v", p)
	}
	for claim, want := range map[string][]string{
		"email": {"ann@example.com"}, "email_verified": {"true"}, "groups": {"dev", "7"}, "aud": {"share-cli"}, "address": nil, "none": nil,
	} {
		if got := p.Claims[claim]; !slices.Equal(got, want) {
			t.Errorf("claim %s: got %q, want %q", claim, got, want)
		}
	}
	again, err := v.VerifyPerson(t.Context(), token, i.URL, "share-cli")
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("the same token: %+v, %v", again, err)
	}
	other, err := v.VerifyPerson(t.Context(), i.Token(persons(map[string]any{"jti": "2"})), i.URL, "share-cli")
	if err != nil || other.Digest == p.Digest {
		t.Errorf("another token has the same digest, or %v", err)
	}

	// ECDSA has two signatures for each; and a base64 has bits that do not count.
	for _, end := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		copied := token[:len(token)-1] + string(end)
		if p2, err := v.VerifyPerson(t.Context(), copied, i.URL, "share-cli"); err == nil && p2.Digest != p.Digest {
			t.Errorf("a copy that ends with %c has another digest", end)
		}
	}
}

func TestVerifyPersonRefused(t *testing.T) {
	i, v := issue(t)
	stranger, _ := issue(t)
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	tests := []struct {
		name    string
		changes map[string]any
		want    string // in the refusal; if empty, there is none
	}{
		{"as it should be", nil, ""},
		{"given to the client", map[string]any{"azp": "share-cli"}, ""},
		{"for others too, and given to the client", map[string]any{"azp": "share-cli", "aud": []string{"api", "share-cli"}}, ""},
		{"issued some minutes ago", map[string]any{"iat": at(-maxAge)}, ""},
		{"for another client", map[string]any{"aud": "web"}, `is for the client "web", and not for "share-cli"`},
		{"for a CI's audience", map[string]any{"aud": "https://share.example.com"}, `is for the client "https://share.example.com", and not`},
		{"for nobody", map[string]any{"aud": nil}, `is for the client "", and not`},
		{"for others too", map[string]any{"aud": []string{"api", "share-cli"}}, `was not given to the client "share-cli" alone`},
		{"given to another", map[string]any{"azp": "web"}, "was not given to the client"},
		{"of nobody", map[string]any{"sub": nil}, "has no sub"},
		{"of a long sub", map[string]any{"sub": strings.Repeat("x", maxSubject+1)}, "has no sub"},
		{"old, and good for long", map[string]any{"iat": at(-time.Hour), "exp": at(time.Hour)}, "was issued 1h0m"},
		{"without iat", map[string]any{"iat": nil}, "it has no iat"},
		{"expired", map[string]any{"exp": at(-5 * time.Minute)}, "has expired"},
		{"without exp", map[string]any{"exp": nil}, "would never expire"},
		{"issued in the future", map[string]any{"iat": at(5 * time.Minute)}, "begins in the future"},
		{"of another issuer", map[string]any{"iss": stranger.URL}, "malformed"},
		{"with an azp that is a list", map[string]any{"azp": []string{"share-cli"}}, "malformed"},
		{"that is too long", map[string]any{"x": strings.Repeat("x", maxPersonToken)}, "the relay takes 7168: have the issuer put less into it"},
	}
	for _, tt := range tests {
		_, err := v.VerifyPerson(t.Context(), i.Token(persons(tt.changes)), i.URL, "share-cli")
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if no, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(no.Reason, tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	// What a stranger has signed is refused, whoever it says has.
	_, err := v.VerifyPerson(t.Context(), stranger.Token(persons(map[string]any{"iss": i.URL})), i.URL, "share-cli")
	if no, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(no.Reason, "is not signed with a key that") {
		t.Errorf("signed by a stranger: %v", err)
	}
}

// What is no JSON is refused, and claims are no more than the token has.
func FuzzListClaims(f *testing.F) {
	for _, s := range []string{`{"a":"b","c":[1,true,"x",null,[]],"d":{},"e":1e9,"f":false}`, `{"a":[ "b" ]}`, `{ "a" : "\u0000" }`, `[]`, `{"a":`, `null`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		claims, err := listClaims(token)
		if err != nil && claims != nil {
			t.Error("claims with an error")
		}
		n := 0
		for name, list := range claims {
			if len(list) == 0 {
				t.Errorf("%q has nothing", name)
			}
			n += len(name) + len(list)
		}
		if n > 3*len(token) { // a byte that is no UTF-8 becomes three
			t.Error(fmt.Sprint(n, " of claims from ", len(token), " bytes"))
		}
	})
}
