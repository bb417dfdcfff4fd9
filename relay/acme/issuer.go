package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	acmeapi "github.com/mholt/acmez/v3/acme"
)

// requestTimeout bounds a request to the CA and its answer.
const requestTimeout = 30 * time.Second

// An OrderError is why a CA gave no certificate.
type OrderError struct {
	Directory string // the CA's
	Err       error
}

func (e *OrderError) Error() string {
	host := e.Directory
	if u, err := url.Parse(e.Directory); err == nil {
		host = u.Host
	}
	return fmt.Sprintf("CA %s: %v", host, e.Err)
}

func (e *OrderError) Unwrap() error { return e.Err }

// maxReason bounds what is said of an error: a server that is no CA answers with
// pages.
const maxReason = 1 << 10

// reason is an error's text on one line, without what the library has put
// around it.
func reason(err error) string {
	if e, ok := errors.AsType[*OrderError](err); ok {
		err = e
	}
	text := err.Error()
	return strings.Join(strings.Fields(strings.ToValidUTF8(text[:min(len(text), maxReason)], "?")), " ")
}

// An issuer obtains certificates from a CA. Its account is made at the first
// order.
type issuer struct {
	directory string
	contact   []string
	store     *folder
	client    *http.Client
	log       *slog.Logger
	solvers   func(csr *x509.CertificateRequest) map[string]acmez.Solver

	mu sync.Mutex // held while the account is read or made
}

func newIssuer(cfg *Config, store *folder, p *proofs) *issuer {
	i := &issuer{directory: cfg.Directory, store: store, log: cfg.Logger}
	if cfg.Email != "" {
		i.contact = []string{"mailto:" + cfg.Email}
	}
	i.client = &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			Proxy:             cfg.proxy(),
			TLSClientConfig:   &tls.Config{RootCAs: cfg.Roots},
			ForceAttemptHTTP2: true,
			IdleConnTimeout:   requestTimeout,
		},
	}
	own := []string{cfg.Domain, "*." + cfg.Domain}
	i.solvers = func(csr *x509.CertificateRequest) map[string]acmez.Solver {
		if cfg.Records != nil && len(csr.DNSNames) == 1 && (csr.DNSNames[0] == own[0] || csr.DNSNames[0] == own[1]) {
			return map[string]acmez.Solver{acmeapi.ChallengeTypeDNS01: dnsProof{cfg.Records, cfg.Logger}}
		}
		ways := map[string]acmez.Solver{acmeapi.ChallengeTypeTLSALPN01: alpnProof{p}}
		if p.isPlain() {
			ways[acmeapi.ChallengeTypeHTTP01] = httpProof{p}
		}
		return ways // a CA counts each that fails
	}
	return i
}

// IssuerKey names the CA among others in the folder.
func (i *issuer) IssuerKey() string {
	u, err := url.Parse(i.directory)
	if err != nil {
		return i.directory
	}
	return strings.Trim(strings.ReplaceAll(u.Host+u.Path, "/", "-"), "-")
}

func (i *issuer) newClient(solvers map[string]acmez.Solver) *acmez.Client {
	return &acmez.Client{
		Client:           &acmeapi.Client{Directory: i.directory, HTTPClient: i.client, UserAgent: "share"},
		ChallengeSolvers: solvers,
	}
}

// Issue obtains a certificate. Its error is an *OrderError.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	defer i.client.CloseIdleConnections()
	chain, err := i.order(ctx, csr)
	if p, ok := errors.AsType[acmeapi.Problem](err); ok && p.Type == acmeapi.ProblemTypeAccountDoesNotExist {
		// The CA has begun anew, as private ones do.
		if err = i.forgetAccount(ctx); err == nil {
			chain, err = i.order(ctx, csr)
		}
	}
	if err != nil {
		if p, ok := errors.AsType[acmeapi.Problem](err); ok && p.Detail != "" {
			err = problem{p}
		}
		return nil, &OrderError{i.directory, err}
	}
	return &certmagic.IssuedCertificate{Certificate: chain.ChainPEM, Metadata: chain}, nil
}

// A problem is a CA's refusal, on a short line.
type problem struct{ acmeapi.Problem }

func (p problem) Error() string {
	text := p.Detail
	for _, s := range p.Subproblems {
		text += "; " + s.Detail
	}
	if a, ok := p.Resource.(acmeapi.Authorization); ok {
		text = a.IdentifierValue() + ": " + text
	}
	return text + " (" + strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:") + ")"
}

func (i *issuer) order(ctx context.Context, csr *x509.CertificateRequest) (acmeapi.Certificate, error) {
	client := i.newClient(i.solvers(csr))
	account, err := i.account(ctx, client)
	if err != nil {
		return acmeapi.Certificate{}, err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return acmeapi.Certificate{}, err
	}
	i.log.Info("certificate ordered", "host", strings.Join(csr.DNSNames, ","), "ca", i.directory)
	chains, err := client.ObtainCertificate(ctx, params)
	if err == nil && len(chains) == 0 {
		err = errors.New("it has sent no certificate")
	}
	if err != nil {
		return acmeapi.Certificate{}, err
	}
	return chains[0], nil
}

// GetRenewalInfo asks the CA when a certificate should be renewed (RFC 9773): at
// once if it was revoked.
func (i *issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acmeapi.RenewalInfo, error) {
	defer i.client.CloseIdleConnections()
	info, err := i.newClient(nil).GetRenewalInfo(ctx, cert.Leaf)
	if err != nil {
		i.log.Debug("the CA does not say when to renew", "host", strings.Join(cert.Names, ","), "error", err.Error())
	}
	return info, err
}

// Where the account is in the folder, below the CA's key.
const (
	accountFile = "account.json"
	accountKey  = "account.key"
)

func (i *issuer) path(name string) string { return "accounts/" + i.IssuerKey() + "/" + name }

// account returns the relay's account at the CA, and makes it if there is none.
func (i *issuer) account(ctx context.Context, client *acmez.Client) (acmeapi.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	account, err := i.storedAccount(ctx)
	if _, unread := errors.AsType[*fs.PathError](err); err == nil || unread && !errors.Is(err, fs.ErrNotExist) {
		return account, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		// As a crash may leave it. Nobody can use it any more.
		i.log.Warn("the account at the CA cannot be used, and another is made", "ca", i.directory, "error", err.Error())
		account = acmeapi.Account{}
	}
	key, err := certmagic.DefaultKeyGenerator.GenerateKey()
	if err != nil {
		return account, err
	}
	pem, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return account, err
	}
	if account.PrivateKey, err = certmagic.PEMDecodePrivateKey(pem); err != nil {
		return account, err
	}
	account.Contact, account.TermsOfServiceAgreed = i.contact, true
	if account, err = client.NewAccount(ctx, account); err != nil {
		return account, err
	}
	text, err := json.Marshal(account)
	if err != nil {
		return account, err
	}
	if err := i.store.Store(ctx, i.path(accountKey), pem); err != nil {
		return account, err
	}
	return account, i.store.Store(ctx, i.path(accountFile), text)
}

func (i *issuer) storedAccount(ctx context.Context) (account acmeapi.Account, err error) {
	text, err := i.store.Load(ctx, i.path(accountFile))
	if err != nil {
		return account, err
	}
	pem, err := i.store.Load(ctx, i.path(accountKey))
	if err != nil {
		return account, err
	}
	if err := json.Unmarshal(text, &account); err != nil {
		return account, fmt.Errorf("%s: %w", i.path(accountFile), err)
	}
	if account.PrivateKey, err = certmagic.PEMDecodePrivateKey(pem); err != nil {
		return account, fmt.Errorf("%s: %w", i.path(accountKey), err)
	}
	return account, nil
}

func (i *issuer) forgetAccount(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.store.Delete(ctx, i.path(accountFile))
}
