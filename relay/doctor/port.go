package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// relayPage is what the page of a relay begins with.
const relayPage = "This is a share relay."

const (
	// maxPage bounds what is read of an answer.
	maxPage = 4 << 10

	// maxDrift is by how much clocks may differ: what identity tokens are
	// allowed.
	maxDrift = time.Minute
)

// checkPorts connects to each address at each port that is to be open, and
// returns the addresses whose public port is.
func (d *Doctor) checkPorts(ctx context.Context, addrs []netip.Addr) (open []netip.Addr, results []Result) {
	ports := []string{d.port()}
	for _, port := range []string{d.Redirect, d.Agents} {
		if port != "" && port != d.port() {
			ports = append(ports, port)
		}
	}
	for i, port := range ports {
		check := "port " + port
		if len(addrs) == 0 {
			results = append(results, skipped(check, "there is no address to connect to"))
			continue
		}
		if port == "0" {
			results = append(results, skipped(check, "the relay listens at any port that is free: name one"))
			continue
		}
		var good, bad []string
		for _, a := range addrs {
			at := a.String()
			conn, err := d.dial(ctx, net.JoinHostPort(at, port))
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", at, err))
				continue
			}
			conn.Close()
			good = append(good, at)
			if i == 0 {
				open = append(open, a)
			}
		}
		if len(bad) > 0 {
			results = append(results, failed(check, "start the relay at port "+port+", and let it through the firewall and to this machine",
				"nobody answers: %s", strings.Join(bad, "; ")))
			continue
		}
		results = append(results, ok(check, "%s answers; this is seen from this machine, and a firewall before it is not", strings.Join(good, ", ")))
	}
	return open, results
}

func (d *Doctor) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return d.Machine.Dial(ctx, "tcp", address)
}

// checkAnswer asks each open address for the domain's page, and returns the Date
// of the last answer.
func (d *Doctor) checkAnswer(ctx context.Context, open []netip.Addr) (date time.Time, _ Result) {
	const check = "answer"
	if len(open) == 0 {
		return date, skipped(check, "nothing answers")
	}
	var other []string
	for _, a := range open {
		resp, page, err := d.ask(ctx, a)
		switch {
		case err != nil:
			other = append(other, fmt.Sprintf("%s: %v", a, err))
			continue
		case !strings.HasPrefix(page, relayPage):
			other = append(other, fmt.Sprintf("%s answers %s, and not as a relay", a, resp.Status))
		}
		if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			date = t
		}
	}
	if len(other) > 0 {
		return date, failed(check, "stop what listens there instead, or see that the domain leads to the relay", "%s", strings.Join(other, "; "))
	}
	return date, ok(check, "%s is a share relay", d.Public)
}

// ask gets the domain's page from an address. Certificates are another check's.
func (d *Doctor) ask(ctx context.Context, from netip.Addr) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.Machine.Dial(ctx, network, net.JoinHostPort(from.String(), d.port()))
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: d.host()},
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Public.Scheme+"://"+d.Public.Host+"/", nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp, string(b), err
}

// checkCertificate looks at what visitors are shown for a name that nobody has.
func (d *Doctor) checkCertificate(ctx context.Context, open []netip.Addr) Result {
	const check = "certificate"
	switch {
	case d.Public.Scheme != "https":
		return skipped(check, "visitors come in plain HTTP")
	case len(open) == 0 && len(d.File) == 0:
		return skipped(check, "nothing answers")
	case len(open) == 0:
		return d.judge(d.File)
	}
	for _, a := range open {
		certs, err := d.shown(ctx, a)
		if err != nil {
			return failed(check, "see the relay's log for why it has no certificate to show", "%s: %v", a, err)
		}
		if r := d.judge(certs); r.State != OK || a == open[len(open)-1] {
			return r
		}
	}
	return skipped(check, "nothing answers")
}

// shown returns the certificates that an address shows.
func (d *Doctor) shown(ctx context.Context, at netip.Addr) ([]*x509.Certificate, error) {
	conn, err := d.dial(ctx, net.JoinHostPort(at.String(), d.port()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: d.host()})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc.ConnectionState().PeerCertificates, nil
}

// judge says whether visitors can believe a chain of certificates, of which
// there is one.
func (d *Doctor) judge(certs []*x509.Certificate) Result {
	const check = "certificate"
	leaf, now := certs[0], d.Machine.Now()
	for _, host := range []string{d.host(), "any." + d.host()} {
		if leaf.VerifyHostname(host) != nil {
			return failed(check, "get a certificate for "+d.host()+" and *."+d.host(),
				"it does not cover %s, but %s", strings.Replace(host, "any.", "*.", 1), strings.Join(leaf.DNSNames, ", "))
		}
	}
	if now.After(leaf.NotAfter) {
		return failed(check, "renew it; the relay reads its files again by itself", "it has expired on %s", day(leaf.NotAfter))
	}
	if now.Before(leaf.NotBefore) {
		return failed(check, "set the clock", "it begins on %s, and this machine's clock says %s", day(leaf.NotBefore), day(now))
	}
	chain := x509.NewCertPool()
	for _, c := range certs[1:] {
		chain.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: d.Machine.Roots, Intermediates: chain, CurrentTime: now}); err != nil {
		return failed(check, "put the whole chain into --tls-cert, the relay's own first; for a CA of yours, agents have --relay-ca", "it is not trusted here: %v", err)
	}
	left := leaf.NotAfter.Sub(now)
	if left < leaf.NotAfter.Sub(leaf.NotBefore)/6 {
		return failed(check, "renew it; the relay reads its files again by itself", "it expires in %s, on %s", days(left), day(leaf.NotAfter))
	}
	return ok(check, "it covers %s and *.%s, is trusted here, and expires in %s", d.host(), d.host(), days(left))
}

// checkClock looks whether the clock is right, without another machine's help.
func (d *Doctor) checkClock(date time.Time) Result {
	const check = "clock"
	if drift := d.Machine.Now().Sub(date).Abs(); !date.IsZero() && drift > maxDrift {
		return failed(check, "set the clock of both: run an NTP client, such as systemd-timesyncd or chrony",
			"it differs by %v from the Date that %s answers", drift.Round(time.Second), d.Public)
	}
	bound, kept, known := d.Machine.Synchronous()
	switch {
	case kept:
		return ok(check, "the kernel says that it is kept right, within %v", bound.Round(time.Millisecond))
	case known:
		return skipped(check, "the kernel says that nothing keeps it right; an NTP client would. The Date that the relay answers is this same clock")
	}
	return skipped(check, "there is no other clock to compare it with: the Date that the relay answers is this same one")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
