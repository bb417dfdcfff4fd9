package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// probeField carries a nonce through the public URL and back.
	probeField = "Share-Probe"

	probeTimeout = 3 * time.Second
	probePause   = 200 * time.Millisecond // between tries, while names and certificates spread
)

// nonces are the probes under way. Each is good for one answer, so that one
// that was seen on its way proves nothing. Methods are safe for concurrent use.
type nonces struct {
	mu   sync.Mutex
	open map[string]struct{} // guarded by mu
}

// issue returns a new nonce of 128 bits, in hex.
func (n *nonces) issue() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	s := hex.EncodeToString(b[:])
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = map[string]struct{}{}
	}
	n.open[s] = struct{}{}
	return s
}

// redeem reports whether s is a nonce under way, which it then is no more.
func (n *nonces) redeem(s []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.open[string(s)]
	delete(n.open, string(s))
	return ok
}

// prober asks for a tunnel's public URL as a visitor would, over a fresh
// connection each time.
type prober struct {
	nonces nonces
	client *http.Client
}

func newProber(cfg *Config) *prober {
	return &prober{client: &http.Client{
		Transport: &http.Transport{
			Proxy: func(r *http.Request) (*url.URL, error) {
				if cfg.Proxy == nil || isLocalhost(r.URL.Hostname()) {
					return nil, nil
				}
				return cfg.Proxy(r.URL)
			},
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				host, port, err := net.SplitHostPort(addr)
				if err != nil {
					return nil, err
				}
				return dialTCP(ctx, host, port)
			},
			TLSClientConfig:   &tls.Config{RootCAs: cfg.RelayCA},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// verify returns nil once a request has come back through publicURL from this
// agent. It tries for 3 s; the error says in words for the user why the last
// try did not come back.
func (p *prober) verify(ctx context.Context, publicURL string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var last error
	for {
		err := p.try(ctx, publicURL)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(probePause):
		}
	}
}

func (p *prober) try(ctx context.Context, publicURL string) error {
	nonce := p.nonces.issue()
	defer p.nonces.redeem([]byte(nonce))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, publicURL, nil)
	if err != nil {
		return fmt.Errorf("the relay gave %q, which is no URL", publicURL)
	}
	req.Header.Set(probeField, nonce)
	req.Header.Set("User-Agent", "share")
	resp, err := p.client.Do(req)
	if err != nil {
		return probeError(req.URL, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get(probeField) != nonce {
		return fmt.Errorf("%s answered %s, and this agent did not see the request", publicURL, resp.Status)
	}
	return nil
}

// probeError says what keeps a visitor from u.
func probeError(u *url.URL, err error) error {
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		host    x509.HostnameError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("%s does not resolve here: the relay's domain needs a DNS record for *", u.Hostname())
	case errors.As(err, &host):
		return fmt.Errorf("the relay's certificate does not cover %s", u.Hostname())
	case errors.As(err, &cert):
		return fmt.Errorf("the certificate of %s is not trusted here: %w", u.Hostname(), cert.Err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer from %s within %v", u, probeTimeout)
	}
	// A *url.Error repeats the method and URL; what it wraps is enough.
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%s cannot be reached from here: %w", u, err)
}
