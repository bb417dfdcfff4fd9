package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"share/relay/route"
)

// A Console gives a relay its operator's commands, and writes what it answers.
type Console struct {
	Client *Client
	Out    io.Writer // takes what was asked for
	Notes  io.Writer // takes what is said beside it
	JSON   bool      // Out takes the answer as it came
}

// CreateToken makes a token and writes its secret.
func (c *Console) CreateToken(ctx context.Context, wish NewToken) error {
	made, err := c.Client.CreateToken(ctx, wish)
	return c.show(made, err, func() error {
		fmt.Fprintf(c.Notes, "Token %s for %s. It is not shown again.\n", made.ID, made.Account)
		_, err := fmt.Fprintln(c.Out, made.Secret)
		return err
	})
}

// ListTokens writes all tokens.
func (c *Console) ListTokens(ctx context.Context) error {
	tokens, err := c.Client.Tokens(ctx)
	return c.show(tokens, err, func() error { return WriteTokens(c.Out, tokens, time.Now()) })
}

// RevokeToken takes a token away by its ID.
func (c *Console) RevokeToken(ctx context.Context, id string) error {
	t, err := c.Client.RevokeToken(ctx, id)
	return c.show(t, err, c.say("token %s of %s is revoked", t.ID, t.Account))
}

// ReserveName keeps a name for an account.
func (c *Console) ReserveName(ctx context.Context, name, label string) error {
	err := c.Client.ReserveName(ctx, name, label)
	return c.show(struct{}{}, err, c.say("%s is reserved for %s", name, label))
}

// ListNames writes all names that have an owner.
func (c *Console) ListNames(ctx context.Context) error {
	names, err := c.Client.Names(ctx)
	return c.show(names, err, func() error { return WriteNames(c.Out, names, time.Now()) })
}

// ReleaseName takes a name from its account.
func (c *Console) ReleaseName(ctx context.Context, name string) error {
	released, err := c.Client.ReleaseName(ctx, name)
	say := c.say("%s is released", name)
	if released.Held {
		say = c.say("%s is not reserved any more: it is free a day after its agent has left", name)
	}
	return c.show(released, err, say)
}

// ListTunnels writes the names that agents hold.
func (c *Console) ListTunnels(ctx context.Context) error {
	names, err := c.Client.Names(ctx)
	tunnels := slices.DeleteFunc(names, func(s route.Status) bool { return s.Agent == "" })
	return c.show(tunnels, err, func() error { return WriteTunnels(c.Out, tunnels, time.Now()) })
}

// KickTunnel ends the session that holds a name.
func (c *Console) KickTunnel(ctx context.Context, name string) error {
	return c.show(struct{}{}, c.Client.KickTunnel(ctx, name), c.say("the tunnel %s is ended", name))
}

// AddDomain makes a domain lead to a name, and writes what its owner has to do.
func (c *Console) AddDomain(ctx context.Context, name, to string) error {
	d, err := c.Client.AddDomain(ctx, name, to)
	say := c.say("%s is verified, and leads to %s", d.Domain.Domain, d.Name)
	if d.Verified.IsZero() {
		say = c.say("%[1]s leads to %[2]s once its owner agrees, by one of these in its DNS:\n\n"+
			"    %[1]s. CNAME %[3]s.\n    _share.%[1]s. TXT %[4]s\n\n"+
			"The relay looks each minute; share relay domain ls shows what it found.", d.Domain.Domain, d.Name, d.Target, d.Token)
	}
	if d.Problem != "" && !c.JSON {
		fmt.Fprintf(c.Notes, "But %s.\n", d.Problem)
	}
	return c.show(d, err, say)
}

// ListDomains writes all domains.
func (c *Console) ListDomains(ctx context.Context) error {
	domains, err := c.Client.Domains(ctx)
	return c.show(domains, err, func() error { return WriteDomains(c.Out, domains) })
}

// RemoveDomain takes a domain away.
func (c *Console) RemoveDomain(ctx context.Context, name string) error {
	d, err := c.Client.RemoveDomain(ctx, name)
	return c.show(d, err, c.say("%s leads to %s no more", d.Domain, d.Name))
}

// show writes an answer, as JSON or as write does, or returns its error.
func (c *Console) show(answer any, err error, write func() error) error {
	switch {
	case err != nil:
		return err
	case c.JSON:
		return json.NewEncoder(c.Out).Encode(answer)
	}
	return write()
}

// say returns what writes a line.
func (c *Console) say(format string, args ...any) func() error {
	return func() error {
		_, err := fmt.Fprintf(c.Out, format+"\n", args...)
		return err
	}
}
