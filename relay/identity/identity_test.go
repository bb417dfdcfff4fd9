package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"share/relay/identity/identitytest"
)

// issue returns an issuer, and a verifier that reaches it.
func issue(t testing.TB) (*identitytest.Issuer, *Verifier) {
	t.Helper()
	i := identitytest.New(nil)
	t.Cleanup(i.Close)
	return i, &Verifier{Transport: i.Transport()}
}

// claims are those of a good token, with changes: nil takes one away.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{"sub": "repo:acme/web:pull_request", "aud": "https://share.example.com", "repository": "acme/web", "repository_id": "7", "number": 12345678901}
	maps.Copy(all, changes)
	return all
}

func TestVerify(t *testing.T) {
	i, v := issue(t)
	token := i.Token(claims(nil))
	if !Looks(token) || Looks("shr_x") {
		t.Error("a token is not known by its looks")
	}
	if issuer, err := Issuer(token); err != nil || issuer != i.URL {
		t.Errorf("issuer %q, %v", issuer, err)
	}
	id, err := v.Verify(t.Context(), token, i.URL, "share.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if id.Issuer != i.URL || id.Subject != "repo:acme/web:pull_request" || id.Claims["repository_id"] != "7" || id.Claims["number"] != "12345678901" {
		t.Errorf("%+v", id)
	}
	if _, ok := id.Claims["aud"]; !ok || len(id.Claims) != 8 {
		t.Errorf("claims %v", id.Claims)
	}
	if n := i.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	if _, err := v.Verify(t.Context(), i.Token(claims(nil)), i.URL, "share.example.com"); err != nil || i.Fetches.Load() != 1 {
		t.Errorf("the second time: %v, %d fetches", err, i.Fetches.Load())
	}
}

func TestVerifyRefused(t *testing.T) {
	i, v := issue(t)
	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	tests := []struct {
		name    string
		changes map[string]any
		want    string // in the refusal; if empty, there is none
	}{
		{"as it should be", nil, ""},
		{"another of several audiences", map[string]any{"aud": []string{"https://x", "https://share.example.com"}}, ""},
		{"with a port", map[string]any{"aud": "https://Share.Example.com:8443/"}, ""},
		{"the other host", map[string]any{"aud": "https://front.example.com"}, ""},
		{"expired within the skew", map[string]any{"exp": at(-50 * time.Second)}, ""},
		{"early within the skew", map[string]any{"iat": at(50 * time.Second), "nbf": at(50 * time.Second)}, ""},
		{"without times but exp", map[string]any{"iat": nil}, ""},
		{"expired", map[string]any{"exp": at(-5 * time.Minute)}, "ago by the relay's clock; 1m0s is allowed for"},
		{"without exp", map[string]any{"exp": nil}, "would never expire"},
		{"issued in the future", map[string]any{"iat": at(5 * time.Minute)}, "begins in the future"},
		{"not yet valid", map[string]any{"nbf": at(5 * time.Minute)}, "begins in the future"},
		{"for another audience", map[string]any{"aud": "https://other.example.com"}, `is for the audience "https://other.example.com", and not for https://share.example.com or https://front.example.com`},
		{"for none", map[string]any{"aud": nil}, "is for the audience"},
		{"for one below", map[string]any{"aud": "https://share.example.com.evil.org"}, "is for the audience"},
		{"for a name", map[string]any{"aud": "share.example.com"}, "is for the audience"},
		{"of another issuer", map[string]any{"iss": "https://other.example.com"}, "malformed"},
		{"with an exp that is text", map[string]any{"exp": "tomorrow"}, "malformed"},
		{"that is too long", map[string]any{"x": strings.Repeat("x", maxToken)}, "more than 4096 bytes"},
	}
	for _, tt := range tests {
		_, err := v.Verify(t.Context(), i.Token(claims(tt.changes)), i.URL, "share.example.com", "front.example.com")
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
}

// What somebody else has signed, or nobody, is refused.
func TestVerifyForged(t *testing.T) {
	i, v := issue(t)
	other, _ := issue(t)
	good := i.Token(claims(nil))
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	changed := strings.Split(i.Token(claims(map[string]any{"repository_id": "8"})), ".")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	own := func(algorithm jose.SignatureAlgorithm, key any) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "key-0"))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, token := range map[string]string{
		"a key of its own":       own(jose.RS256, key),
		"a shared secret":        own(jose.HS256, make([]byte, 32)),
		"another issuer's":       other.Token(claims(map[string]any{"iss": i.URL})),
		"another payload":        parts[0] + "." + changed[1] + "." + parts[2],
		"no signature":           parts[0] + "." + parts[1] + ".",
		"the algorithm none":     encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"two parts":              parts[0] + "." + parts[1],
		"a fourth part":          good + ".x",
		"an empty text":          "",
		"dots":                   "..",
		"a header that is none":  encode([]byte("x")) + "." + parts[1] + "." + parts[2],
		"a payload that is none": parts[0] + "." + encode([]byte("x")) + "." + parts[2],
	} {
		if _, err := v.Verify(t.Context(), token, i.URL, "share.example.com"); err == nil {
			t.Errorf("%s: it is believed", name)
		} else if _, ok := errors.AsType[*RefusedError](err); !ok || strings.Contains(err.Error(), parts[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// clock is a clock that stands.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Keys are fetched when they are not known, or old, and never at once again.
func TestKeys(t *testing.T) {
	i, v := issue(t)
	c := &clock{now: time.Now()}
	v.Now = c.time
	verify := func() error {
		_, err := v.Verify(t.Context(), i.Token(claims(map[string]any{"exp": c.time().Add(time.Minute).Unix()})), i.URL, "share.example.com")
		return err
	}
	want := func(what string, err error, kind error, fetches int64) {
		t.Helper()
		if reflect.TypeOf(err) != reflect.TypeOf(kind) || i.Fetches.Load() != fetches {
			t.Errorf("%s: %v, %d fetches; want %T, %d", what, err, i.Fetches.Load(), kind, fetches)
		}
	}
	want("first", verify(), nil, 1)
	i.Rotate()
	want("a new key at once", verify(), &RefusedError{}, 1)
	c.pass(fetchPause)
	want("a new key", verify(), nil, 2)
	c.pass(keysLast)
	want("old keys", verify(), nil, 3)
	i.Replace()
	want("a new key under an old id at once", verify(), &RefusedError{}, 3)
	c.pass(fetchPause)
	want("a new key under an old id", verify(), nil, 4)
	i.Close()
	want("issuer down, keys known", verify(), nil, 4)
	c.pass(keysLast)
	want("issuer down, keys old", verify(), &UnreachableError{}, 4)
	want("at once again", verify(), &UnreachableError{}, 4)
	if err := verify(); err == nil || !strings.Contains(err.Error(), "the keys of the issuer "+i.URL+" cannot be fetched") {
		t.Errorf("got %v", err)
	}
}

// Many tokens at a time make one fetch.
func TestKeysTogether(t *testing.T) {
	i, v := issue(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), i.Token(claims(nil)), i.URL, "share.example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := i.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// FuzzVerify: whatever is shown, only what the issuer has signed is believed.
func FuzzVerify(f *testing.F) {
	i, v := issue(f)
	good := i.Token(claims(nil))
	want, err := v.Verify(f.Context(), good, i.URL, "share.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(i.Token(claims(map[string]any{"exp": 1})))
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if issuer, err := Issuer(token); err == nil && (issuer == "" || len(token) > maxToken) {
			t.Errorf("%q: issuer %q", token, issuer)
		}
		// Base64 has more than one text for some bytes.
		if id, err := v.Verify(t.Context(), token, i.URL, "share.example.com"); err == nil && !reflect.DeepEqual(id, want) {
			t.Errorf("%q is believed, as %+v", token, id)
		}
	})
}
