package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// checkTLS looks who answers at the relay's address, and reports whether a relay can
// be spoken to there.
func (w *way) checkTLS(ctx context.Context) (_ cmdline.Result, answers bool) {
	const check cmdline.Check = "tls"
	switch {
	case w.relay.Plain && w.relay.Loopback():
		return check.Skipped("a relay on this machine is spoken to in plain"), true
	case w.relay.Plain:
		return check.Warning("use https://", "there is none: the token travels unencrypted"), true
	}
	// What does not pass the protocol may pass what a browser speaks.
	var state, browser tls.ConnectionState
	var err, also error
	var wg sync.WaitGroup
	wg.Go(func() { state, err = w.handshake(ctx, tunnel.ALPN) })
	wg.Go(func() { browser, also = w.handshake(ctx, "http/1.1") })
	wg.Wait()
	switch {
	case err != nil && also != nil:
		return check.Failed("check --relay: is it the right port, and a relay with TLS? A firewall that inspects TLS may be in between", "%s", handshakeError(also)), false
	case err != nil:
		state = browser
	}
	return w.judgeCertificate(state, check), true
}

// handshake speaks TLS with whoever answers, and believes anybody.
func (w *way) handshake(ctx context.Context, proto string) (state tls.ConnectionState, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := w.look.Connect(ctx)
	if err != nil {
		return state, err
	}
	defer conn.Close()
	tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: w.relay.Host, NextProtos: []string{proto}})
	if err := tc.HandshakeContext(ctx); err != nil {
		return state, err
	}
	return tc.ConnectionState(), nil
}

func handshakeError(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("what takes connections there says nothing within %v", timeout)
	case isRecord(err):
		return "what answers there does not speak TLS"
	}
	return fmt.Sprintf("what takes connections there ends the handshake: %v", err)
}

func isRecord(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// judgeCertificate says who signed for the relay, and whether this machine believes
// it. A proxy that intercepts TLS is known by its signature.
func (w *way) judgeCertificate(state tls.ConnectionState, check cmdline.Check) cmdline.Result {
	leaf, now := state.PeerCertificates[0], w.Machine.Now()
	issuer := issuer(leaf)
	switch {
	case now.After(leaf.NotAfter):
		return check.Failed("if the clock below is right, the relay's owner is to renew it", "the certificate, signed by %s, has expired on %s", issuer, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return check.Failed("set this machine's clock", "the certificate, signed by %s, begins on %s only", issuer, day(leaf.NotBefore))
	}
	others := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		others.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: w.Agent.RelayCA, Intermediates: others, CurrentTime: now}); err != nil {
		return check.Failed("if the CA is the relay's own, name its certificate with --relay-ca; if you do not know it, a proxy intercepts TLS: have it let "+w.relay.Host+" pass",
			"the certificate is signed by %s, whom this machine does not trust", issuer)
	}
	if leaf.VerifyHostname(w.relay.Host) != nil {
		return check.Failed("check --relay: is it the right host?", "the certificate, signed by %s, is for %s and not for %s",
			issuer, cmp.Or(strings.Join(leaf.DNSNames, ", "), "no host"), w.relay.Host)
	}
	if state.NegotiatedProtocol != tunnel.ALPN {
		return check.Warning("if that CA is not the relay's, a proxy intercepts TLS, and can read the token: have it let "+w.relay.Host+" pass",
			"TLS ends before the relay, at a server whose certificate is signed by %s: a front, or a proxy that this machine trusts", issuer)
	}
	return check.OK("%s, with a certificate signed by %s that expires on %s", tls.VersionName(state.Version), issuer, day(leaf.NotAfter))
}

// issuer names who signed a certificate.
func issuer(c *x509.Certificate) string {
	if string(c.RawIssuer) == string(c.RawSubject) {
		return "itself"
	}
	name := c.Issuer
	return cmp.Or(strings.TrimSpace(strings.Join(append(name.Organization, name.CommonName), " ")), name.String(), "nobody by name")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
