package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPersonToken bounds the token of a person, which may name many groups. It
	// keeps within the preface that carries it.
	maxPersonToken = 7 << 10

	// maxSubject bounds who a person is to the issuer (OpenID Connect Core 1.0, 2).
	maxSubject = 255

	// maxAge is how long after it was issued a person's token is shown for the
	// first time: an agent does so at once.
	maxAge = 5 * time.Minute
)

// A Person is what a token says of who logs in.
type Person struct {
	Issuer  string
	Subject string
	Claims  map[string][]string // those that are text, numbers, true or false, or lists of these

	// Digest is that of all that the token says: only a copy has the same.
	Digest [sha256.Size]byte

	// Until is when the token is too old to be shown.
	Until time.Time
}

// VerifyPerson returns who has logged in with the client of an issuer, which must be
// trusted: it is asked for its keys. A token is good for some minutes, and again and
// again: the caller takes it once. The error is a *RefusedError or an
// *UnreachableError.
func (v *Verifier) VerifyPerson(ctx context.Context, token, issuer, client string) (*Person, error) {
	if len(token) > maxPersonToken {
		return nil, refused("the ID token has %d bytes, and the relay takes %d: have the issuer put less into it", len(token), maxPersonToken)
	}
	verified, err := v.verify(ctx, token, issuer)
	if err != nil {
		return nil, err
	}
	var all json.RawMessage
	var claims struct {
		Authorised string `json:"azp"`
	}
	if verified.Claims(&all) != nil || verified.Claims(&claims) != nil {
		return nil, errMalformed()
	}
	until := verified.IssuedAt.Add(maxAge + skew)
	switch {
	case !slices.Contains(verified.Audience, client):
		return nil, refused("the ID token is for the client %.200q, and not for %q", strings.Join(verified.Audience, " "), client)
	case claims.Authorised != "" && claims.Authorised != client, claims.Authorised == "" && len(verified.Audience) > 1:
		return nil, refused("the ID token was not given to the client %q alone", client)
	case verified.Subject == "" || len(verified.Subject) > maxSubject:
		return nil, refused("the ID token has no sub, or one of more than %d bytes", maxSubject)
	case verified.IssuedAt.Unix() <= 0:
		return nil, refused("the ID token does not say when it was issued: it has no iat")
	case v.now().After(until):
		return nil, refused("the ID token was issued %v ago by the relay's clock: %v is allowed for", v.now().Sub(verified.IssuedAt).Round(time.Second), maxAge+skew)
	}
	// Google's tokens may have another form of its name.
	p := &Person{Issuer: issuer, Subject: verified.Subject, Digest: sha256.Sum256(all), Until: until}
	p.Claims, err = listClaims(all)
	return p, err
}

// listClaims returns the claims of a token that are text, numbers, true or false, or
// lists of these.
func listClaims(token []byte) (map[string][]string, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(token, &all) != nil {
		return nil, errMalformed()
	}
	claims := make(map[string][]string)
	for name, raw := range all {
		list := []json.RawMessage{raw}
		if raw[0] == '[' && json.Unmarshal(raw, &list) != nil {
			return nil, errMalformed()
		}
		for _, one := range list {
			if text, ok := scalar(one); ok {
				claims[name] = append(claims[name], text)
			}
		}
	}
	return claims, nil
}

// scalar returns the text of what is text, a number, true or false.
func scalar(raw json.RawMessage) (text string, ok bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return string(raw), true // as it was written
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
