package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/urfave/cli/v2"

	"share/relay"
	"share/relay/admin"
	"share/relay/doctor"
	"share/tunnel/cmdline"
)

// withDoctor adds share relay doctor, which takes the same flags, to the
// command of a relay.
func (r *serving) withDoctor(command *cli.Command) *cli.Command {
	var asJSON bool
	toggle := cmdline.Toggle("json", "write what was found as JSON", &asJSON)
	cmdline.Unset([]cli.Flag{toggle})
	command.Subcommands = append(command.Subcommands, &cli.Command{
		Name:  "doctor",
		Usage: "look for what keeps agents and visitors from a relay, and say what cures it",
		Description: "It runs on the relay's machine, with the flags of share relay. What it sees of ports it sees from there:\n" +
			"a firewall before the machine does not show. It ends with 1 if a check has failed.",
		Flags: append(command.Flags[:len(command.Flags):len(command.Flags)], toggle),
		Action: func(c *cli.Context) error {
			if _, err := argument(c, ""); err != nil {
				return err
			}
			d, err := r.doctor()
			if err != nil {
				return err
			}
			return cmdline.WriteResults(c.App.Writer, d.Run(c.Context), asJSON)
		},
	})
	return command
}

// doctor returns who looks at the relay that the flags describe.
func (r *serving) doctor() (*doctor.Doctor, error) {
	if err := r.load(); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.data == "" && r.keeps() {
		r.data = r.process.dataDir()
	}
	d := &doctor.Doctor{
		Public:  r.public(),
		Front:   r.relay.PublicURL != nil,
		CA:      r.relay.ACME != nil,
		Demand:  r.relay.ACME != nil && r.obtaining.ways() == 0,
		Data:    r.data,
		Machine: doctor.Local(),
		Operate: func(ctx context.Context) error {
			_, err := admin.NewClient(relay.SocketPath(r.data)).Names(ctx)
			return err
		},
		CheckStore: func() error {
			err := relay.CheckData(r.data)
			if errors.Is(err, relay.ErrInUse) {
				err = fmt.Errorf("%w: %w", doctor.ErrBusy, err)
			}
			return err
		},
	}
	if r.cert != "" {
		pair, err := tls.LoadX509KeyPair(r.cert, r.key)
		if err != nil {
			return nil, cmdline.Unusable("--tls-cert and --tls-key want a certificate and its key in PEM", err)
		}
		for _, der := range pair.Certificate {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, cmdline.Unusable("--tls-cert wants certificates in PEM", err)
			}
			d.File = append(d.File, c)
		}
	}
	if !d.Front {
		d.Redirect, d.Agents = portOf(r.addresses.Redirect), portOf(r.addresses.Agents)
	}
	return d, nil
}

// public is the URL of the domain, as visitors reach it.
func (r *serving) public() *url.URL {
	if u := r.relay.PublicURL; u != nil {
		return u
	}
	u := &url.URL{Scheme: "https"}
	address, usual := r.addresses.HTTPS, "443"
	if address == "" {
		u.Scheme, address, usual = "http", r.addresses.HTTP, "80"
	}
	u.Host = strings.ToLower(cmp.Or(r.relay.Domain, "localhost"))
	if port := portOf(address); port != usual {
		u.Host = net.JoinHostPort(u.Host, port)
	}
	return u
}

// portOf is the port of an address that was found right, empty if that is.
func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
