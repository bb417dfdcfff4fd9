package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// usualInterval is between two questions whether the user is done, unless the
	// issuer says otherwise; slower is what it becomes longer by when the issuer
	// says so (RFC 8628 3.5).
	usualInterval = 5 * time.Second
	slower        = 5 * time.Second
	maxInterval   = time.Minute
)

// A Code is what the user has to show the issuer.
type Code struct {
	URL     string        // to open in a browser
	Whole   string        // the same with the code in it; empty if the issuer has none
	Text    string        // the code, to type there
	Expires time.Duration // how long it is good for

	issuer   *Issuer
	at       string // where it is asked for
	secret   string // the device code
	interval time.Duration
}

// Begin gets a code for the user. Its errors, and those of Wait, say what the issuer
// did; an *UnreachableError is one of them.
func (i *Issuer) Begin(ctx context.Context) (*Code, error) {
	e, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	var answer struct {
		failure
		Device   string  `json:"device_code"`
		User     string  `json:"user_code"`
		URL      string  `json:"verification_uri"`
		Older    string  `json:"verification_url"` // what Google calls it
		Whole    string  `json:"verification_uri_complete"`
		Expires  float64 `json:"expires_in"` // seconds
		Interval float64 `json:"interval"`   // seconds
	}
	status, err := i.send(ctx, e.Device, i.form(url.Values{"scope": {strings.Join(i.Scopes, " ")}}), &answer)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, answer.err(status)
	}
	if answer.URL == "" {
		answer.URL = answer.Older
	}
	c := &Code{URL: answer.URL, Whole: answer.Whole, Text: answer.User, issuer: i, at: e.Token, secret: answer.Device}
	c.Expires = seconds(answer.Expires, maxLife)
	if c.interval = seconds(answer.Interval, maxInterval); c.interval == 0 {
		c.interval = usualInterval
	}
	return c, c.check()
}

// check returns why a code is of no use.
func (c *Code) check() error {
	switch {
	case c.secret == "" || len(c.secret) > maxSecret || !printable(c.secret):
		return errors.New("it gives no device code, or one that is none")
	case c.Text == "" || len(c.Text) > maxCode || strings.ContainsFunc(c.Text, func(r rune) bool { return r < ' ' || r >= 0x7f }):
		return errors.New("it gives no code to type, or one that is none")
	case c.Expires == 0:
		return errors.New("it gives a code that has expired")
	}
	if _, err := secure(c.URL); err != nil {
		return fmt.Errorf("it wants the user at %w", err)
	}
	if c.Whole != "" {
		if _, err := secure(c.Whole); err != nil {
			return fmt.Errorf("it wants the user at %w", err)
		}
	}
	return nil
}

// seconds is a time in whole seconds, none below zero and at most the longest.
func seconds(n float64, longest time.Duration) time.Duration {
	if !(n >= 1) {
		return 0
	}
	if n >= longest.Seconds() {
		return longest
	}
	return time.Duration(n) * time.Second
}

// Wait returns the ID token when the user is done, ErrDenied or ErrExpired, or
// another error. While the issuer is out of reach it is asked again, until the code
// has expired.
func (c *Code) Wait(ctx context.Context) (token string, err error) {
	expired := time.NewTimer(c.Expires)
	defer expired.Stop()
	var lost error
	for interval := c.interval; ; {
		next := time.NewTimer(interval)
		select {
		case <-next.C:
		case <-expired.C:
			next.Stop()
			if lost != nil {
				return "", lost
			}
			return "", ErrExpired
		case <-ctx.Done():
			next.Stop()
			return "", context.Cause(ctx)
		}
		token, why, err := c.ask(ctx)
		_, unreached := errors.AsType[*UnreachableError](err)
		switch {
		case unreached && ctx.Err() != nil:
			return "", context.Cause(ctx)
		case unreached:
			lost = err
			interval = min(2*interval, maxInterval) // RFC 8628 3.5
		case err != nil:
			return "", err
		case why.is("authorization_pending"):
			lost = nil
		case why.is("slow_down"):
			lost = nil
			interval = min(interval+slower, maxInterval)
		case why.is("access_denied", "authorization_declined"): // the latter is Entra's
			return "", ErrDenied
		case why.is("expired_token"):
			return "", ErrExpired
		default:
			return token, nil
		}
	}
}

// ask asks whether the user is done. A failure is one that Wait knows.
func (c *Code) ask(ctx context.Context) (token string, why *failure, err error) {
	var answer struct {
		failure
		Token string `json:"id_token"`
	}
	status, err := c.issuer.send(ctx, c.at, c.issuer.form(url.Values{
		"grant_type":  {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {c.secret},
	}), &answer)
	switch {
	case err != nil:
		return "", nil, err
	case status != http.StatusOK && answer.is("authorization_pending", "slow_down", "access_denied", "authorization_declined", "expired_token"):
		return "", &answer.failure, nil
	case status != http.StatusOK:
		return "", nil, answer.err(status)
	case answer.Token == "" || len(answer.Token) > maxToken || !printable(answer.Token):
		return "", nil, errors.New("it gives no ID token, or one that is none")
	}
	return answer.Token, &failure{}, nil
}
