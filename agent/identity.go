package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"share/tunnel/cmdline"
)

const (
	// identityTimeout bounds the wait for an identity token.
	identityTimeout = 10 * time.Second

	// maxIdentity bounds the answer that has it.
	maxIdentity = 64 << 10
)

// An Identity is where a CI says who its jobs are. A relay that trusts it wants
// no other token.
type Identity struct {
	name   string // for views
	token  string // what is shown; if empty, it is asked for
	url    string // where, for an audience
	secret string // what lets us ask
}

// FindIdentity returns the identity that the environment has, nil if it has
// none: SHARE_ID_TOKEN, as a job of GitLab CI gets it by id_tokens, or what
// GitHub Actions gives a job with the permission id-token: write.
func FindIdentity(getenv func(string) string) *Identity {
	if token := strings.TrimSpace(getenv("SHARE_ID_TOKEN")); token != "" {
		return &Identity{name: "SHARE_ID_TOKEN", token: token}
	}
	ask, secret := getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if ask == "" || secret == "" {
		return nil
	}
	name := "GitHub Actions"
	if repository := getenv("GITHUB_REPOSITORY"); repository != "" {
		name += " of " + repository
	}
	return &Identity{name: name, url: ask, secret: secret}
}

// String names the identity, and shows no token.
func (i *Identity) String() string { return i.name }

// obtain returns a token that shows the identity to a relay. They live for
// minutes, so each connection has its own. Its error is a *cmdline.Error if a
// retry cannot help; else it is no more than a text, which is about another
// server than the relay.
func (i *Identity) obtain(ctx context.Context, proxy func(*url.URL) (*url.URL, error), audience string) (string, error) {
	token := i.token
	if token == "" {
		var err error
		if token, err = i.ask(ctx, proxy, audience); err != nil {
			return "", err
		}
	}
	if token == "" || !ValidToken(token) {
		return "", i.unusable(fmt.Sprintf("a token of %d bytes, which is none", len(token)))
	}
	return token, nil
}

func (i *Identity) unusable(what string) error {
	return &cmdline.Error{Code: cmdline.ExitToken, Message: "the identity of " + i.name + " cannot be shown: it gave " + what,
		Hint: "give the job the permission id-token: write, or put a token into SHARE_TOKEN"}
}

// ask asks GitHub Actions for a token.
func (i *Identity) ask(ctx context.Context, proxy func(*url.URL) (*url.URL, error), audience string) (string, error) {
	at, err := url.Parse(i.url)
	if err != nil || at.Host == "" {
		return "", i.unusable("a URL that is none")
	}
	query := at.Query()
	query.Set("audience", audience)
	at.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", i.unusable("a URL that is none")
	}
	req.Header.Set("Authorization", "Bearer "+i.secret)
	req.Header.Set("Accept", "application/json")
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			Proxy: func(r *http.Request) (*url.URL, error) {
				if proxy == nil || isLocalhost(r.URL.Hostname()) {
					return nil, nil
				}
				return proxy(r.URL)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may be a secret
		}
		return "", fmt.Errorf("the identity of %s cannot be asked for: %v", i.name, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxIdentity))
	switch {
	case err != nil:
		return "", fmt.Errorf("the identity of %s cannot be asked for: %v", i.name, err)
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return "", i.unusable("the answer " + resp.Status)
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the identity of %s cannot be asked for: it answered %s", i.name, resp.Status)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(b, &answer) != nil {
		return "", i.unusable("an answer that is no JSON")
	}
	return answer.Value, nil
}
