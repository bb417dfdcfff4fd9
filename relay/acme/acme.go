// Package acme keeps a relay's certificates: it obtains them from a certificate
// authority, a CA (RFC 8555), renews them before they end, and gives each
// handshake the one for its host.
//
// Where the relay can publish values in the DNS, it has one certificate for its
// domain and one for every name below it. Where it cannot, and for domains of
// others that lead to it, it obtains one for each host when it is first asked
// for, if that is wanted: what strangers ask for starts nothing.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// letsEncrypt is the directory of the CA that is asked if none is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Config says which certificates are kept, and where they come from.
type Config struct {
	// Domain is the relay's.
	Domain string

	// Email is where the CA writes to. If empty, it has no address.
	Email string

	// Directory is the CA's URL. If empty, Let's Encrypt's.
	Directory string

	// Roots are trusted at the CA's URL. If nil, the system's.
	Roots *x509.CertPool

	// Records publishes what proves the domain. If nil, certificates are
	// obtained for each host.
	Records Records

	// Proxy returns the proxy for a URL, nil for none. If nil, there is none.
	Proxy func(*url.URL) (*url.URL, error)

	// Logger is told of each certificate, and why there is none. If nil,
	// nobody is.
	Logger *slog.Logger
}

// Records publishes values as the TXT records of a name.
type Records interface {
	// Present adds a value, and returns when those who ask will see it.
	Present(ctx context.Context, fqdn, value string) error

	// Remove takes a value away.
	Remove(ctx context.Context, fqdn, value string) error
}

// A ConfigError is a Config that can never bring a certificate.
type ConfigError struct{ Reason string }

func (e *ConfigError) Error() string { return e.Reason }

// Certificates are those that a relay shows. Run keeps them.
type Certificates struct {
	cfg     Config
	log     *slog.Logger
	library certmagic.Config // set by Open; lacks what Run makes
	proofs  proofs
	fixed   []string // hosts that always have one, *.Domain among them
	limit   *rate.Limiter
	asked   chan string // hosts for which one is to be obtained
	pause   func(failures int) time.Duration

	mu    sync.Mutex
	want  func(host string) Want // guarded by mu; nil until Want
	hosts map[string]*host       // guarded by mu
}

// New returns Certificates that are to be opened, and that Run then keeps. Its
// error is a *ConfigError.
func New(cfg Config) (*Certificates, error) {
	cfg.Domain = strings.ToLower(cfg.Domain)
	if cfg.Directory == "" {
		cfg.Directory = letsEncrypt
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Certificates{
		cfg:   cfg,
		log:   cfg.Logger,
		fixed: []string{cfg.Domain},
		limit: rate.NewLimiter(rate.Every(orderEvery), orderBurst),
		asked: make(chan string, maxAsked),
		pause: pause,
		hosts: make(map[string]*host),
	}
	if cfg.Records != nil {
		c.fixed = append(c.fixed, "*."+cfg.Domain)
	}
	return c, nil
}

// Open makes dir the folder of certificates, their keys and the account at the
// CA. It is made if there is none, and goes before Run. What it has for the domain
// is shown from then on.
func (c *Certificates) Open(dir string) error {
	store, err := openFolder(dir)
	if err != nil {
		return err
	}
	c.library = certmagic.Config{
		RenewalWindowRatio: certmagic.DefaultRenewalWindowRatio,
		KeySource:          certmagic.DefaultKeyGenerator,
		Issuers:            []certmagic.Issuer{newIssuer(&c.cfg, store, &c.proofs)},
		Storage:            store,
		OCSP:               certmagic.OCSPConfig{DisableStapling: true}, // CAs tell by renewal information (RFC 9773)
		Logger:             zap.NewNop(),                                // its errors come back, and are told then
	}
	k := c.newKeeper()
	defer k.cache.Stop()
	for _, name := range c.fixed {
		c.know(name)
		k.stored(context.Background(), name)
	}
	return nil
}

// know makes a host known, whose certificate is looked after from then on.
func (c *Certificates) know(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts[name] = new(host)
}

// A Want is what may be done for a host, so that it has a certificate.
type Want int

const (
	Nothing Want = iota // it is nobody's: what strangers ask for
	Show                // one is shown that was obtained before
	Obtain              // one is obtained, and renewed
)

// Want tells what may be done for hosts beside the domain: want is asked for each
// when it is time. It must not block. Before that there is Nothing for them.
func (c *Certificates) Want(want func(host string) Want) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = want
}

// Plain says whether a CA that comes to a host over HTTP is answered with Proof. If
// not, hosts are proved by handshakes alone.
func (c *Certificates) Plain(plain bool) { c.proofs.setPlain(plain) }

// check returns why no CA can give what is configured.
func (c *Config) check() error {
	u, err := url.Parse(c.Directory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return &ConfigError{fmt.Sprintf("the CA's URL %q: want https:// and a host", c.Directory)}
	}
	_, notIP := netip.ParseAddr(c.Domain)
	switch {
	case c.Domain == "" || c.Domain == "localhost" || notIP == nil:
		return &ConfigError{fmt.Sprintf("no CA has certificates for the names below %q: name the relay's own domain", c.Domain)}
	case !certmagic.SubjectQualifiesForCert(c.Domain) || strings.HasPrefix(c.Domain, "*"):
		return &ConfigError{fmt.Sprintf("domain %q: want a name such as share.example.com", c.Domain)}
	case c.Directory == letsEncrypt && (!strings.Contains(c.Domain, ".") || !certmagic.SubjectQualifiesForPublicCert(c.Domain)):
		return &ConfigError{fmt.Sprintf("Let's Encrypt has no certificates for %q, which is no name of the public DNS", c.Domain)}
	case c.Email != "" && (!strings.Contains(c.Email, "@") || strings.ContainsAny(c.Email, " \t\r\n<>,")):
		return &ConfigError{fmt.Sprintf("email %q: want an address such as ops@example.com", c.Email)}
	}
	return nil
}

// Run obtains and renews certificates until ctx ends, and returns after all it
// started has ended.
func (c *Certificates) Run(ctx context.Context) {
	k := c.newKeeper()
	defer k.cache.Stop()
	var wg sync.WaitGroup
	wg.Go(func() { k.tend(ctx) })
	for range workers {
		wg.Go(func() { k.work(ctx) })
	}
	wg.Wait()
}

// Certificate returns what to show in answer to hello, or why there is nothing.
func (c *Certificates) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if IsProof(hello) {
		if pair := c.proofs.certificate(name); pair != nil {
			return pair, nil
		}
		return nil, fmt.Errorf("nothing is to be proved for %.100q", name)
	}
	if name == "" {
		name = c.cfg.Domain // of who does not say
	}
	if fixed := c.fixedFor(name); fixed != "" {
		pair, err := c.shown(fixed)
		if pair == nil && err == nil {
			err = errNotYet
		}
		return pair, err
	}
	return c.demand(hello.Context(), name)
}

// ByHost reports whether hosts below the domain have certificates of their own.
func (c *Certificates) ByHost() bool { return c.cfg.Records == nil }

// Covers reports whether handshakes for a host will be shown a certificate, now
// or once there is one.
func (c *Certificates) Covers(host string) bool {
	return c.fixedFor(host) != "" || strings.HasSuffix(host, "."+c.cfg.Domain)
}

// Expiry is when the first of the certificates ends that are shown now, zero if
// there is none.
func (c *Certificates) Expiry() (first time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		if h.pair != nil && (first.IsZero() || h.pair.Leaf.NotAfter.Before(first)) {
			first = h.pair.Leaf.NotAfter
		}
	}
	return first
}

// fixedFor is the host among the fixed ones whose certificate is for name too,
// empty if there is none.
func (c *Certificates) fixedFor(name string) string {
	if name == c.cfg.Domain {
		return name
	}
	label, ok := strings.CutSuffix(name, "."+c.cfg.Domain)
	if ok && c.cfg.Records != nil && label != "" && !strings.Contains(label, ".") {
		return "*." + c.cfg.Domain
	}
	return ""
}

var (
	errNotYet    = errors.New("there is no certificate yet")
	errUnwanted  = errors.New("nobody holds the name")
	errTooMany   = errors.New("too many certificates are being obtained")
	errNotLoaded = errors.New("certificates are not renewed by the library itself")
)

// Proof answers the CA's HTTP request for path (RFC 8555 8.3); ok is false if
// nothing is to be proved there.
func (c *Certificates) Proof(path string) (text string, ok bool) { return c.proofs.text(path) }

// proxy is Proxy, as http.Transport wants it.
func (c *Config) proxy() func(*http.Request) (*url.URL, error) {
	if c.Proxy == nil {
		return nil
	}
	return func(r *http.Request) (*url.URL, error) { return c.Proxy(r.URL) }
}
