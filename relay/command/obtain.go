package command

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"share/relay"
	"share/relay/acme"
	"share/relay/dns"
	"share/tunnel/cmdline"
)

// An obtaining is what the flags say of certificates that a CA gives.
type obtaining struct {
	email, url, ca, dns, update, keyFile, hook, resolver string

	addresses []netip.Addr
}

// load reads what the flags name, and gives the relay certificates that are
// still to be opened.
func (o *obtaining) load(p *Process, cfg *relay.Config, a *relay.Addresses) error {
	if err := o.check(a.Certificate != nil); err != nil {
		return err
	}
	if o.resolver != "" {
		cfg.Resolver = resolverAt(o.resolver)
	}
	if o.email == "" {
		return nil
	}
	if a.Empty() {
		a.HTTPS = ":443"
		if a.Redirect == "" {
			a.Redirect = ":80"
		}
	}
	certificates := acme.Config{Domain: cfg.Domain, Email: o.email, Directory: o.url, Logger: cfg.Logger, Proxy: p.Proxy}
	if cfg.Domain == "" && cfg.PublicURL != nil {
		certificates.Domain = cfg.PublicURL.Hostname()
	}
	var err error
	if o.ca != "" {
		if certificates.Roots, err = cmdline.LoadRoots(o.ca); err != nil {
			return err
		}
	}
	if certificates.Records, err = o.records(cfg, certificates.Domain); err != nil {
		return err
	}
	kept, err := acme.New(certificates)
	if err != nil {
		return cmdline.Usage("", "%v", err)
	}
	cfg.ACME, a.Certificate = kept, kept
	return nil
}

// check returns what does not go together.
func (o *obtaining) check(own bool) error {
	ways := o.ways()
	switch {
	case o.email != "" && own:
		return cmdline.Usage("leave one of them away", "--email obtains certificates, and --tls-cert names some")
	case o.email == "" && (ways > 0 || o.url != "" || o.ca != ""):
		return cmdline.Usage("add --email", "--acme-url, --acme-ca and the flags of --dns are for obtaining certificates")
	case ways > 1:
		return cmdline.Usage("leave one of them away", "the domain is proved in one way: --dns, --dns-update or --dns-hook")
	case (o.update == "") != (o.keyFile == ""):
		return cmdline.Usage("add the other", "--dns-update and --dns-key-file go together")
	case o.addresses != nil && o.dns == "":
		return cmdline.Usage("add --dns", "nothing answers with --dns-address")
	}
	for _, f := range []struct{ name, addr string }{{"dns", o.dns}, {"dns-resolver", o.resolver}} {
		_, port, err := net.SplitHostPort(f.addr)
		if _, perr := strconv.ParseUint(port, 10, 16); f.addr != "" && (err != nil || perr != nil) {
			return cmdline.Usage("", "--%s %q: want host:port, as :53 or 192.0.2.1:53", f.name, f.addr)
		}
	}
	return nil
}

// ways counts the ways in which the domain is proved in the DNS. With none of
// them each host has a certificate of its own.
func (o *obtaining) ways() (n int) {
	for _, way := range []string{o.dns, o.update, o.hook} {
		if way != "" {
			n++
		}
	}
	return n
}

// records is the way in which the domain is proved in the DNS, nil if there is
// none.
func (o *obtaining) records(cfg *relay.Config, domain string) (acme.Records, error) {
	switch {
	case o.dns != "":
		srv, err := dns.New(dns.Config{Domain: domain, Addresses: o.addresses, Logger: cfg.Logger})
		if err != nil {
			return nil, cmdline.Usage("", "--dns: %v", err)
		}
		cfg.DNS = srv
		return srv, nil
	case o.update != "":
		f, err := os.Open(o.keyFile)
		if err != nil {
			return nil, cmdline.Unusable("--dns-key-file wants a key as tsig-keygen writes it", err)
		}
		defer f.Close()
		key, err := dns.ParseKey(f)
		if err != nil {
			return nil, cmdline.Unusable("--dns-key-file wants a key as tsig-keygen writes it", fmt.Errorf("%s: %w", o.keyFile, err))
		}
		updater, err := dns.NewUpdater(o.update, key)
		if err != nil {
			return nil, cmdline.Usage("", "--dns-update: %v", err)
		}
		return updater, nil
	case o.hook != "":
		hook, err := acme.NewHook(o.hook)
		if err != nil {
			return nil, cmdline.Unusable("--dns-hook wants a program that can be run", err)
		}
		return hook, nil
	}
	return nil, nil
}

// open opens the certificates' folder, in the data folder of the relay.
func (o *obtaining) open(cfg *relay.Config, data string) error {
	if cfg.ACME == nil {
		return nil
	}
	if err := cfg.ACME.Open(filepath.Join(data, "acme")); err != nil {
		return cmdline.Unusable("--data wants a folder of the relay's own", err)
	}
	return nil
}

// listen lets srv, if there is one, listen at the address of --dns.
func (o *obtaining) listen(s *relay.Sockets, srv *dns.Server) error {
	if srv == nil {
		return nil
	}
	tcp, err := s.Listen("dns", o.dns)
	if err != nil {
		return fmt.Errorf("--dns: %w", err)
	}
	udp, err := s.ListenPacket("dns", tcp.Addr().String())
	if err != nil {
		tcp.Close()
		return fmt.Errorf("--dns: %w", err)
	}
	srv.Use(tcp, udp)
	return nil
}

// resolverAt asks the DNS server at addr.
func resolverAt(addr string) *net.Resolver {
	var d net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
}
