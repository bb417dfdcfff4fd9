package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"share/relay/account"
	"share/relay/domain"
	"share/relay/route"
)

// maxAnswer bounds an answer: 100,000 names, each with all that is known of it.
const maxAnswer = 64 << 20

// ErrNoRelay is why a command was not taken: no relay runs there.
var ErrNoRelay = errors.New("no relay runs there")

// ErrUnreached is why a command did not come to a relay elsewhere.
var ErrUnreached = errors.New("the relay cannot be reached")

// A RefusedError is a relay's refusal of a command.
type RefusedError struct {
	Status int
	Detail string
}

func (e *RefusedError) Error() string { return e.Detail }

// Invalid reports whether the command can never be granted.
func (e *RefusedError) Invalid() bool { return e.Status == http.StatusBadRequest }

// Broken reports whether it is the relay that has failed.
func (e *RefusedError) Broken() bool { return e.Status >= http.StatusInternalServerError }

// Unknown reports whether the token does not let the operator do that.
func (e *RefusedError) Unknown() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// A Client gives a relay its operator's commands. Their errors are a
// *RefusedError, or have ErrNoRelay in their chain if nobody listens here, or
// ErrUnreached if the relay is elsewhere.
type Client struct {
	http  http.Client
	base  string // of URLs
	token string // shown to a relay elsewhere; empty for one here
}

// NewClient returns a client of the relay that listens at a socket.
func NewClient(socket string) *Client {
	var d net.Dialer
	return newClient("http://relay", "", &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "unix", socket)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
				err = ErrNoRelay
			}
			return conn, err
		},
	})
}

// NewRemoteClient returns a client of the relay whose operators come to u from
// elsewhere. It shows token, and trusts what roots have signed; the system's, if
// nil. proxy returns the proxy for a URL, nil for none; if it is nil, there is
// none.
func NewRemoteClient(u *url.URL, token string, roots *x509.CertPool, proxy func(*url.URL) (*url.URL, error)) *Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	if proxy != nil {
		transport.Proxy = func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
	}
	return newClient(strings.TrimSuffix(u.String(), "/"), token, transport)
}

func newClient(base, token string, transport *http.Transport) *Client {
	transport.DisableKeepAlives = true
	c := &Client{base: base, token: token}
	c.http.Timeout, c.http.Transport = callTimeout, transport
	// A token is for the one who was named.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// CreateToken makes a token.
func (c *Client) CreateToken(ctx context.Context, wish NewToken) (made MadeToken, err error) {
	err = c.call(ctx, "POST", "/v1/tokens", wish, &made)
	return made, err
}

// Tokens returns all tokens.
func (c *Client) Tokens(ctx context.Context) (tokens []account.Token, err error) {
	err = c.call(ctx, "GET", "/v1/tokens", nil, &tokens)
	return tokens, err
}

// RevokeToken takes a token away; sessions that it let in end.
func (c *Client) RevokeToken(ctx context.Context, id string) (t account.Token, err error) {
	err = c.call(ctx, "DELETE", "/v1/tokens/"+url.PathEscape(id), nil, &t)
	return t, err
}

// Names returns all names, bound or not.
func (c *Client) Names(ctx context.Context) (names []route.Status, err error) {
	err = c.call(ctx, "GET", "/v1/names", nil, &names)
	return names, err
}

// ReserveName keeps a name for an account.
func (c *Client) ReserveName(ctx context.Context, name, account string) error {
	return c.call(ctx, "PUT", "/v1/names/"+url.PathEscape(name), Reservation{account}, nil)
}

// ReleaseName takes a name from its account.
func (c *Client) ReleaseName(ctx context.Context, name string) (released Released, err error) {
	err = c.call(ctx, "DELETE", "/v1/names/"+url.PathEscape(name), nil, &released)
	return released, err
}

// KickTunnel ends the session that holds a name.
func (c *Client) KickTunnel(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", "/v1/tunnels/"+url.PathEscape(name), nil, nil)
}

// maxTries and tryPause are how often a call is made that comes to a process whose
// place another has just taken, and the time between.
const (
	maxTries = 5
	tryPause = 100 * time.Millisecond
)

// Domains returns all domains.
func (c *Client) Domains(ctx context.Context) (domains []domain.Status, err error) {
	err = c.call(ctx, "GET", "/v1/domains", nil, &domains)
	return domains, err
}

// AddDomain makes a domain lead to a name.
func (c *Client) AddDomain(ctx context.Context, name, to string) (added domain.Status, err error) {
	err = c.call(ctx, "PUT", "/v1/domains/"+url.PathEscape(name), NewDomain{to}, &added)
	return added, err
}

// RemoveDomain takes a domain away.
func (c *Client) RemoveDomain(ctx context.Context, name string) (removed account.Domain, err error) {
	err = c.call(ctx, "DELETE", "/v1/domains/"+url.PathEscape(name), nil, &removed)
	return removed, err
}

// call sends in, if it is not nil, and reads the answer into out, likewise.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	for try := 1; ; try++ {
		err := c.callOnce(ctx, method, path, in, out)
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok || refused.Status != http.StatusServiceUnavailable || try == maxTries {
			return err
		}
		select {
		case <-time.After(tryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) callOnce(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, &c.http, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("answer to %s %s: %w", method, path, err)
	}
	return nil
}

// send sends a request, by way of h, and returns the relay's answer, whose body
// the caller closes, or its refusal.
func (c *Client) send(ctx context.Context, h *http.Client, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := h.Do(req)
	if err != nil {
		if uerr, ok := errors.AsType[*url.Error](err); ok {
			err = uerr.Err
		}
		if c.token != "" {
			err = fmt.Errorf("%w: %w", ErrUnreached, err)
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var p problem
		if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&p) != nil || p.Detail == "" {
			p.Detail = resp.Status
		}
		return nil, &RefusedError{resp.StatusCode, p.Detail}
	}
	return resp, nil
}
