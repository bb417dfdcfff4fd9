// Package device has an issuer of OpenID Connect say who the user is, in a browser
// that may be on another machine: by the device flow (RFC 8628).
package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// requestTimeout bounds a request, maxAnswer what comes for it.
	requestTimeout = 10 * time.Second
	maxAnswer      = 256 << 10

	// maxCode bounds what the user has to type, maxSecret a device code, maxURL a
	// URL and maxToken an ID token.
	maxCode   = 64
	maxSecret = 4 << 10
	maxURL    = 2 << 10
	maxToken  = 64 << 10

	// maxLife bounds how long a code is good for, whatever the issuer says.
	maxLife = 30 * time.Minute
)

// How a login ends without an ID token.
var (
	// ErrDenied means that the user has said no, or the issuer.
	ErrDenied = errors.New("it was not allowed")

	// ErrExpired means that the user has not come in time.
	ErrExpired = errors.New("the code has expired")
)

// An UnreachableError says that the issuer does not answer: a retry may help.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// An Issuer is asked who the user is. All of it is public, and what a relay has said.
type Issuer struct {
	URL      string
	ClientID string
	Secret   string // of the client; empty if the issuer wants none
	Scopes   []string

	// Transport reaches it.
	Transport http.RoundTripper
}

// Host names the issuer to people, empty if its URL is none of https.
func (i *Issuer) Host() string {
	u, err := secure(i.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// endpoints are where the issuer is asked.
type endpoints struct {
	Issuer string `json:"issuer"`
	Device string `json:"device_authorization_endpoint"`
	Token  string `json:"token_endpoint"`
}

// discover asks the issuer for its endpoints (OpenID Connect Discovery 1.0, 4).
func (i *Issuer) discover(ctx context.Context) (*endpoints, error) {
	if _, err := secure(i.URL); err != nil {
		return nil, err
	}
	e := new(endpoints)
	status, err := i.send(ctx, strings.TrimSuffix(i.URL, "/")+"/.well-known/openid-configuration", nil, e)
	switch {
	case err != nil:
		return nil, err
	case status != http.StatusOK:
		return nil, fmt.Errorf("it answers %d when it is asked about itself", status)
	case e.Issuer != i.URL:
		return nil, fmt.Errorf("it says that it is the issuer %.200q", e.Issuer)
	case e.Device == "":
		return nil, errors.New("it has no device flow")
	}
	for _, at := range []string{e.Device, e.Token} {
		if _, err := secure(at); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// secure reads a URL of https.
func secure(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(s) > maxURL || !printable(s) {
		return nil, fmt.Errorf("%.200q is no https URL", s)
	}
	return u, nil
}

// printable reports whether s is of printable ASCII without spaces.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// send asks at a URL, with form if it is not nil, and reads the JSON that comes into
// v, whatever the status is. No redirect is followed.
func (i *Issuer) send(ctx context.Context, at string, form url.Values, v any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/json")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := i.Transport.RoundTrip(req)
	if err != nil {
		return 0, &UnreachableError{err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, &UnreachableError{err}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return 0, fmt.Errorf("it answers %d, and sends elsewhere", resp.StatusCode)
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests:
		return 0, &UnreachableError{fmt.Errorf("it answers %d", resp.StatusCode)}
	case len(b) > maxAnswer:
		return 0, fmt.Errorf("it answers with more than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return 0, fmt.Errorf("it answers %d with what is no JSON as expected", resp.StatusCode)
	}
	return resp.StatusCode, nil
}

// form is what goes with each request.
func (i *Issuer) form(more url.Values) url.Values {
	more.Set("client_id", i.ClientID)
	if i.Secret != "" {
		more.Set("client_secret", i.Secret)
	}
	return more
}

// A failure is how an issuer says no (RFC 6749 5.2).
type failure struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// err is a failure as an error.
func (f *failure) err(status int) error {
	if f.Code == "" {
		return fmt.Errorf("it answers %d", status)
	}
	if f.Description == "" {
		return fmt.Errorf("it says %.100q", f.Code)
	}
	return fmt.Errorf("it says %.100q: %.300q", f.Code, f.Description)
}

// is reports whether it is one of the failures with these codes.
func (f *failure) is(codes ...string) bool { return slices.Contains(codes, f.Code) }
