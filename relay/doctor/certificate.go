package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"share/tunnel/cmdline"
)

// checkCertificate looks at what visitors are shown for the domain, and for a
// name that nobody has: these may be two certificates.
func (d *Doctor) checkCertificate(ctx context.Context, open []netip.Addr) cmdline.Result {
	const check cmdline.Check = "certificate"
	switch {
	case d.Public.Scheme != "https":
		return check.Skipped("visitors come in plain HTTP")
	case len(open) == 0 && len(d.File) == 0:
		return check.Skipped("nothing answers")
	}
	hosts, covered := []string{d.host(), anyName(d.host())}, d.host()+" and *."+d.host()
	if d.Demand {
		hosts, covered = hosts[:1], d.host()+", as names have their own once they are asked for"
	}
	now := d.Machine.Now()
	var end time.Time // of the first that ends
	for _, host := range hosts {
		chains, err := d.chains(ctx, open, host)
		if err != nil {
			return check.Failed("see the relay's log for why it has no certificate to show", "%v", err)
		}
		for _, chain := range chains {
			if fault := d.judge(host, chain, now); fault != nil {
				return *fault
			}
			if leaf := chain[0]; end.IsZero() || leaf.NotAfter.Before(end) {
				end = leaf.NotAfter
			}
		}
	}
	return check.OK("it is trusted here, and expires in %s; it covers %s", days(end.Sub(now)), covered)
}

// chains returns the certificates that each address shows for a host: those of
// the file while none is open.
func (d *Doctor) chains(ctx context.Context, open []netip.Addr, host string) (all [][]*x509.Certificate, err error) {
	if len(open) == 0 {
		return [][]*x509.Certificate{d.File}, nil
	}
	for _, a := range open {
		chain, err := d.shown(ctx, a, host)
		if err != nil {
			return nil, fmt.Errorf("%s, asked for %s: %w", a, host, err)
		}
		all = append(all, chain)
	}
	return all, nil
}

// shown returns the certificates that an address shows for a host.
func (d *Doctor) shown(ctx context.Context, at netip.Addr, host string) ([]*x509.Certificate, error) {
	conn, err := d.dial(ctx, net.JoinHostPort(at.String(), d.port()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc.ConnectionState().PeerCertificates, nil
}

// judge says why visitors of a host cannot believe a chain of certificates, of
// which there is one, nil if they can.
func (d *Doctor) judge(host string, chain []*x509.Certificate, now time.Time) *cmdline.Result {
	fault := func(cure, format string, args ...any) *cmdline.Result {
		r := cmdline.Check("certificate").Failed(cure, format, args...)
		return &r
	}
	cover, renew, trust := "get a certificate for "+d.host()+" and *."+d.host(), "renew it; the relay reads its files again by itself",
		"put the whole chain into --tls-cert, the relay's own first; for a CA of yours, agents have --relay-ca"
	if d.CA {
		cover, renew, trust = "see the relay's log for what the CA says", "see the relay's log for why the CA has given no other",
			"trust the CA's root here; agents have --relay-ca"
	}
	leaf := chain[0]
	switch {
	case leaf.VerifyHostname(host) != nil:
		what := d.host()
		if host != what {
			what = "*." + what
		}
		return fault(cover, "it does not cover %s, but %s", what, strings.Join(leaf.DNSNames, ", "))
	case now.After(leaf.NotAfter):
		return fault(renew, "it has expired on %s", day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fault("set the clock", "it begins on %s, and this machine's clock says %s", day(leaf.NotBefore), day(now))
	}
	others := x509.NewCertPool()
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: d.Machine.Roots, Intermediates: others, CurrentTime: now}); err != nil {
		return fault(trust, "it is not trusted here: %v", err)
	}
	left := leaf.NotAfter.Sub(now)
	if left < leaf.NotAfter.Sub(leaf.NotBefore)/6 {
		return fault(renew, "it expires in %s, on %s", days(left), day(leaf.NotAfter))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
