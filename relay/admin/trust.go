package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"share/relay/account"
)

// NewTrust asks for a trust. Its fields are those of account.Trust.
type NewTrust struct {
	Kind       account.Kind      `json:"kind"`
	Issuer     string            `json:"issuer,omitempty"`
	Subject    string            `json:"subject"`
	Account    string            `json:"account,omitempty"`
	Names      []string          `json:"names,omitempty"`
	MaxTunnels int               `json:"max_tunnels,omitempty"`
	Pins       map[string]string `json:"pins,omitempty"`

	MaxExchanges      int   `json:"max_exchanges,omitempty"`
	RequestsPerSecond int   `json:"requests_per_second,omitempty"`
	BytesPerSecond    int64 `json:"bytes_per_second,omitempty"`
}

// trusts is what looks after trusts.
func (r *Relay) trusts() []endpoint {
	return []endpoint{
		takes("POST /v1/trusts", func(req *http.Request, wish NewTrust) (account.Trust, error) {
			return r.Accounts.AddTrust(req.Context(), account.Trust{
				Kind: wish.Kind, Issuer: wish.Issuer, Subject: wish.Subject, Account: wish.Account,
				Names: wish.Names, MaxTunnels: wish.MaxTunnels, Pins: wish.Pins,
				MaxExchanges: wish.MaxExchanges, RequestsPerSecond: wish.RequestsPerSecond, BytesPerSecond: wish.BytesPerSecond,
			})
		}),
		answers("GET /v1/trusts", func(req *http.Request) ([]account.Trust, error) {
			return r.Accounts.Trusts(req.Context())
		}),
		answers("DELETE /v1/trusts/{id}", func(req *http.Request) (account.Trust, error) {
			return r.Accounts.RemoveTrust(req.Context(), req.PathValue("id"))
		}),
	}
}

// AddTrust makes a trust.
func (c *Client) AddTrust(ctx context.Context, wish NewTrust) (t account.Trust, err error) {
	err = c.call(ctx, "POST", "/v1/trusts", wish, &t)
	return t, err
}

// Trusts returns all trusts.
func (c *Client) Trusts(ctx context.Context) (trusts []account.Trust, err error) {
	err = c.call(ctx, "GET", "/v1/trusts", nil, &trusts)
	return trusts, err
}

// RemoveTrust takes a trust away; sessions that it let in end.
func (c *Client) RemoveTrust(ctx context.Context, id string) (t account.Trust, err error) {
	err = c.call(ctx, "DELETE", "/v1/trusts/"+url.PathEscape(id), nil, &t)
	return t, err
}

// AddTrust makes a trust, and says what it will be pinned to.
func (c *Console) AddTrust(ctx context.Context, wish NewTrust) error {
	t, err := c.Client.AddTrust(ctx, wish)
	said := c.say("trust %s lets %s in as %s", t.ID, t.Subject, t.Account)
	if !t.Pinned() {
		said = c.say("trust %s lets %s in as %s, pinned to the ids of the first that comes, until %s", t.ID, t.Subject, t.Account, day(t.PinBy()))
	}
	return c.show(t, err, said)
}

// ListTrusts writes all trusts.
func (c *Console) ListTrusts(ctx context.Context) error {
	trusts, err := c.Client.Trusts(ctx)
	return c.show(trusts, err, func() error { return WriteTrusts(c.Out, trusts, time.Now()) })
}

// RemoveTrust takes a trust away by its ID.
func (c *Console) RemoveTrust(ctx context.Context, id string) error {
	t, err := c.Client.RemoveTrust(ctx, id)
	return c.show(t, err, c.say("trust %s of %s is removed", t.ID, t.Account))
}
