// Package identitytest is an issuer of identity tokens for tests.
package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Secret is what a job shows to get a token at /token, as a bearer.
const Secret = "let-me-ask"

// An Issuer serves its keys over TLS, and tokens at /token as GitHub Actions
// does: its parameters become claims.
type Issuer struct {
	URL     string
	Fetches atomic.Int64 // of the keys

	server *httptest.Server

	mu   sync.Mutex
	key  *ecdsa.PrivateKey // guarded by mu
	keys []jose.JSONWebKey // guarded by mu; all that are shown

	devices []*device         // guarded by mu
	instead map[string]answer // guarded by mu; by their paths
}

// New returns an issuer with a certificate for localhost; if that is nil, with
// httptest's. The caller closes it.
func New(certificate *tls.Certificate) *Issuer {
	i := &Issuer{}
	i.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"device_authorization_endpoint": i.URL + "/device", "token_endpoint": i.URL + "/token"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.Fetches.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		reply(w, 200, map[string]any{"keys": append([]any{map[string]string{"kty": "of another kind"}}, anySlice(i.keys)...)})
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+Secret {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		reply(w, 200, map[string]string{"value": i.Token(Claims(r.URL.Query()))})
	})
	mux.HandleFunc("POST /device", i.begin)
	mux.HandleFunc("POST /token", i.ask)
	i.server = httptest.NewUnstartedServer(i.orInstead(mux))
	i.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if certificate != nil {
		i.server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	}
	i.URL = "https://" + i.server.Listener.Addr().String() // before anybody asks for it
	if certificate != nil {
		i.URL = strings.Replace(i.URL, "127.0.0.1", "localhost", 1)
	}
	i.server.StartTLS()
	return i
}

func anySlice[T any](list []T) (all []any) {
	for _, v := range list {
		all = append(all, v)
	}
	return all
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error is the client's loss.
	_ = json.NewEncoder(w).Encode(v)
}

// Close stops the issuer; it signs on.
func (i *Issuer) Close() { i.server.Close() }

// Transport reaches an issuer that has no certificate of its own.
func (i *Issuer) Transport() http.RoundTripper { return i.server.Client().Transport }

// Rotate signs with a new key from now on. The old ones are still shown.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // a test's end
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
	i.keys = append(i.keys, jose.JSONWebKey{Key: key.Public(), KeyID: fmt.Sprint("key-", len(i.keys)), Algorithm: "ES256", Use: "sig"})
}

// Replace signs with a new key from now on, which has the id of the first. No other
// is shown.
func (i *Issuer) Replace() {
	i.mu.Lock()
	i.keys = nil
	i.mu.Unlock()
	i.Rotate()
}

// Token signs a token of these claims, without those that are nil. Those that
// every token has are added unless they are there: iss, iat, and exp in five
// minutes.
func (i *Issuer) Token(claims map[string]any) string {
	now := time.Now().Unix()
	all := map[string]any{"iss": i.URL, "iat": now, "exp": now + 300}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	i.mu.Lock()
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.keys[len(i.keys)-1].KeyID}}
	i.mu.Unlock()
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Claims makes claims of parameters, each a text. "audience" is aud, and "age" is
// how long ago the token was issued, for five minutes.
func Claims(parameters url.Values) map[string]any {
	claims := make(map[string]any)
	for name, values := range parameters {
		claims[name] = values[0]
	}
	if audience, ok := claims["audience"]; ok {
		claims["aud"] = audience
	}
	if age, err := time.ParseDuration(parameters.Get("age")); err == nil {
		issued := time.Now().Add(-age).Unix()
		claims["iat"], claims["nbf"], claims["exp"] = issued, issued, issued+300
	}
	delete(claims, "audience")
	delete(claims, "age")
	return claims
}
