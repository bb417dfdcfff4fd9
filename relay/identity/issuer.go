package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// keysLast is how long keys are used before they are fetched anew: a key
	// that its issuer has withdrawn is good for so long.
	keysLast = time.Hour

	// fetchPause is between fetches, whatever asks for them: tokens with keys
	// that nobody has ever seen must not make the relay a burden to issuers.
	fetchPause = 5 * time.Second

	// fetchTimeout bounds a fetch. An agent waits for its welcome, 5 s at most.
	fetchTimeout = 3 * time.Second

	// maxDocument bounds what an issuer sends.
	maxDocument = 256 << 10
)

// algorithms are the signatures that are believed: none with a shared secret.
func algorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}
}

// A keySet verifies the signature of one token, as package oidc asks it to.
type keySet struct {
	issuer *issuer
	failed error // what it answered, which package oidc gives as text only
}

// VerifySignature returns the payload of a token that one of the issuer's keys
// has signed.
func (k *keySet) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, k.failed = k.issuer.verify(ctx, token)
	return payload, k.failed
}

// An issuer has the keys of one.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	turn chan struct{} // holds the token of who fetches

	mu      sync.Mutex
	keys    []jose.JSONWebKey // guarded by mu
	fetched time.Time         // guarded by mu; when keys were
	tried   time.Time         // guarded by mu; when the last fetch ended
	failed  error             // guarded by mu; how it ended
}

func newIssuer(url string, transport http.RoundTripper, now func() time.Time) *issuer {
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DisableKeepAlives:   true, // once an hour
			TLSHandshakeTimeout: fetchTimeout,
			ForceAttemptHTTP2:   true,
		}
	}
	return &issuer{
		url: url,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:  now,
		turn: make(chan struct{}, 1),
	}
}

// verify returns the payload of a token that one of the issuer's keys has
// signed.
func (i *issuer) verify(ctx context.Context, token string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, a := range algorithms() {
		allowed = append(allowed, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(token, allowed)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errMalformed()
	}
	id := signed.Signatures[0].Header.KeyID
	var fetched time.Time
	for range 2 { // a new key may have the id of an old one, or neither has one
		var keys []jose.JSONWebKey
		if keys, fetched, err = i.find(ctx, id, fetched); err != nil {
			return nil, err
		}
		for _, key := range keys {
			if payload, err := signed.Verify(key.Key); err == nil {
				return payload, nil
			}
		}
	}
	return nil, refused("the identity token is not signed with a key that %s has", i.url)
}

// find returns the keys that may have signed a token, and when they were fetched:
// those with the key id that it names, of a fetch later than after. They are
// fetched if there is none, but not too often.
func (i *issuer) find(ctx context.Context, id string, after time.Time) (keys []jose.JSONWebKey, fetched time.Time, err error) {
	if keys, fetched, err = i.known(id, after); len(keys) > 0 || err != nil {
		return keys, fetched, err
	}
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, fetched, &UnreachableError{i.url, ctx.Err()}
	}
	// Who had the turn before may have fetched them, or failed to.
	if keys, fetched, err = i.known(id, after); len(keys) > 0 || err != nil || !i.due() {
		return keys, fetched, err
	}
	all, err := i.fetch(ctx)
	i.mu.Lock()
	i.tried, i.failed = i.now(), err
	if err == nil {
		i.keys, i.fetched = all, i.tried
	}
	i.mu.Unlock()
	return i.known(id, after)
}

// due reports whether keys may be fetched again.
func (i *issuer) due() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now().Sub(i.tried) >= fetchPause
}

// known returns the keys with an id that are known, not too old and of a fetch
// later than after, or all of these if the id is empty; an error if there are none
// and it is known that they cannot be fetched now.
func (i *issuer) known(id string, after time.Time) (keys []jose.JSONWebKey, fetched time.Time, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fresh := i.now().Sub(i.fetched) < keysLast && i.fetched.After(after)
	for _, k := range i.keys {
		if fresh && (id == "" || k.KeyID == id) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 && i.failed != nil && i.now().Sub(i.tried) < fetchPause {
		return nil, i.fetched, &UnreachableError{i.url, i.failed}
	}
	return keys, i.fetched, nil
}

// fetch asks the issuer for its keys (OpenID Connect Discovery 1.0, 4).
func (i *issuer) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := i.get(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != i.url {
		return nil, fmt.Errorf("it says that it is the issuer %.200q", about.Issuer)
	}
	if u, err := url.Parse(about.Keys); err != nil || u.Scheme != "https" {
		return nil, fmt.Errorf("its keys are at %.200q, which is no https URL", about.Keys)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, about.Keys, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		// Keys of a kind that is not known are for others (RFC 7517 5).
		if json.Unmarshal(raw, &k) == nil && k.IsPublic() && k.Valid() {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key")
	}
	return keys, nil
}

// get reads a document of JSON.
func (i *issuer) get(ctx context.Context, from string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := i.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: it answers %s", from, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("get %s: %w", from, err)
	}
	if len(b) > maxDocument {
		return fmt.Errorf("get %s: more than %d bytes", from, maxDocument)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("get %s: %w", from, err)
	}
	return nil
}
