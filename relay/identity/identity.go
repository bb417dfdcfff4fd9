// Package identity verifies the identity tokens (OpenID Connect) that a CI
// gives its jobs, and those of people who log in. Whom they are trusted to be is
// decided elsewhere.
package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// maxToken bounds a token before anything of it is parsed. Those of GitHub
	// and GitLab have 1 to 3 KiB.
	maxToken = 4 << 10

	// skew is by how much the clocks of issuer and relay may differ.
	skew = time.Minute
)

// A RefusedError says why a token shows nothing.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refused(format string, args ...any) error {
	return &RefusedError{fmt.Sprintf(format, args...)}
}

// An UnreachableError says that an issuer's keys are not to be had: a retry may
// help.
type UnreachableError struct {
	Issuer string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the keys of the issuer %s cannot be fetched: %v", e.Issuer, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// An Identity is what a token says of who shows it.
type Identity struct {
	Issuer  string
	Subject string
	Claims  map[string]string // those that are text or numbers
}

// Looks reports whether a token has the form of an identity token: that of a
// signed JWT (RFC 7519), which begins with a JSON object in base64.
func Looks(token string) bool {
	return strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2
}

// Issuer returns who is said to have issued a token. Nothing is verified.
func Issuer(token string) (string, error) {
	if len(token) > maxToken {
		return "", refused("the identity token has more than %d bytes", maxToken)
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(b, &claims) != nil || claims.Issuer == "" {
		return "", errMalformed()
	}
	return claims.Issuer, nil
}

func errMalformed() error { return refused("the identity token is malformed") }

// A Verifier verifies tokens of issuers that its callers trust. Its zero value
// works. It may be used by many goroutines.
type Verifier struct {
	// Transport reaches the issuers. If nil, one as http.DefaultTransport is.
	Transport http.RoundTripper

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	mu      sync.Mutex
	issuers map[string]*issuer // guarded by mu; by their URL
}

// Verify returns the identity of a token of an issuer, which must be trusted: it
// is asked for its keys. The token must be for the audience of a relay at one of
// hosts. The error is a *RefusedError or an *UnreachableError.
func (v *Verifier) Verify(ctx context.Context, token, issuer string, hosts ...string) (*Identity, error) {
	if len(token) > maxToken {
		return nil, refused("the identity token has more than %d bytes", maxToken)
	}
	verified, err := v.verify(ctx, token, issuer)
	if err != nil {
		return nil, err
	}
	if err := checkAudience(verified.Audience, hosts); err != nil {
		return nil, err
	}
	claims, err := textClaims(verified)
	if err != nil {
		return nil, err
	}
	return &Identity{Issuer: verified.Issuer, Subject: verified.Subject, Claims: claims}, nil
}

// verify returns a token that an issuer has signed, and that is good now. Whom it is
// for is not checked.
func (v *Verifier) verify(ctx context.Context, token, issuer string) (*oidc.IDToken, error) {
	keys := &keySet{issuer: v.issuer(issuer)}
	// Audience and times are checked with words for the user.
	verified, err := oidc.NewVerifier(issuer, keys, &oidc.Config{
		SkipClientIDCheck:    true,
		SkipExpiryCheck:      true,
		SupportedSigningAlgs: algorithms(),
	}).Verify(ctx, token)
	switch {
	case keys.failed != nil:
		return nil, keys.failed
	case err != nil:
		return nil, errMalformed()
	}
	return verified, checkTimes(verified, v.now())
}

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// issuer returns what is known of an issuer.
func (v *Verifier) issuer(url string) *issuer {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.issuers[url]
	if i == nil {
		i = newIssuer(url, v.Transport, v.now)
		if v.issuers == nil {
			v.issuers = make(map[string]*issuer)
		}
		v.issuers[url] = i
	}
	return i
}

// checkTimes returns why a token is not good at now. It is for as long as its
// issuer says: so long it can be shown again.
func checkTimes(t *oidc.IDToken, now time.Time) error {
	var claims struct {
		NotBefore float64 `json:"nbf"`
	}
	if t.Claims(&claims) != nil {
		return errMalformed()
	}
	if t.Expiry.IsZero() {
		return refused("the identity token would never expire: it has no exp")
	}
	if late := now.Sub(t.Expiry); late >= skew {
		return refused("the identity token has expired, %v ago by the relay's clock; %v is allowed for", late.Round(time.Second), skew)
	}
	begins := t.IssuedAt
	if nbf := time.Unix(int64(claims.NotBefore), 0); claims.NotBefore > 0 && nbf.After(begins) {
		begins = nbf
	}
	if early := begins.Sub(now); early > skew {
		return refused("the identity token begins in the future, in %v by the relay's clock, and %v is allowed for: one of the clocks is wrong", early.Round(time.Second), skew)
	}
	return nil
}

// checkAudience returns why a token is not for a relay at one of hosts. Its
// audience is the relay's URL; the port does not count, which may be a front's.
func checkAudience(audience, hosts []string) error {
	for _, a := range audience {
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			continue
		}
		for _, host := range hosts {
			if strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), host) {
				return nil
			}
		}
	}
	return refused("the identity token is for the audience %.200q, and not for https://%s", strings.Join(audience, " "), strings.Join(hosts, " or https://"))
}

// textClaims returns the claims that are text or numbers.
func textClaims(t *oidc.IDToken) (map[string]string, error) {
	var all map[string]json.RawMessage
	if t.Claims(&all) != nil {
		return nil, errMalformed()
	}
	claims := make(map[string]string)
	for name, raw := range all {
		var text string
		var number json.Number
		if json.Unmarshal(raw, &text) == nil {
			claims[name] = text
		} else if json.Unmarshal(raw, &number) == nil {
			claims[name] = number.String()
		}
	}
	return claims, nil
}
