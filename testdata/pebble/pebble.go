// Package pebble runs the CA that Let's Encrypt tests clients with, and a small
// DNS for it to look at, so that tests and scripts have certificates to obtain.
package pebble

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Config is how a CA behaves.
type Config struct {
	Addr      string        // where it listens; if empty, at a free port of loopback
	Resolver  string        // the DNS server that it asks
	HTTPPort  int           // where it looks for proofs over HTTP
	TLSPort   int           // where it looks for proofs by handshake
	Validity  time.Duration // of certificates; if zero, 90 days
	ErrorLog  *log.Logger   // takes what it says; if nil, nobody does
	Identity  *Identity     // what it shows at its own URL; if nil, a new one
	Forgetful bool          // it does not reuse what was proved before
}

// A CA serves until Close.
type CA struct {
	// URL is its ACME directory.
	URL string

	// Identity is what it shows there.
	Identity *Identity

	// Root is the certificate that signs what it issues, PEM.
	Root []byte

	srv    *http.Server
	orders atomic.Int64
}

// Orders is how many certificates have been asked for.
func (c *CA) Orders() int { return int(c.orders.Load()) }

// Close ends the CA: nobody listens at its URL any more.
func (c *CA) Close() error { return c.srv.Close() }

// letsEncryptPath is where Let's Encrypt has its directory: a CA with an
// Identity for that one's host passes for it.
const letsEncryptPath = "/directory"

// Start starts a CA. It sets variables of the environment, which is where it
// is configured.
func Start(cfg Config) (*CA, error) {
	reuse := "100"
	if cfg.Forgetful {
		reuse = "0"
	}
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": reuse} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	if cfg.Identity == nil {
		var err error
		if cfg.Identity, err = NewIdentity(); err != nil {
			return nil, err
		}
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.ErrorLog == nil {
		cfg.ErrorLog = log.New(io.Discard, "", 0)
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: uint64(cfg.Validity / time.Second)}}
	authority := ca.New(cfg.ErrorLog, store, "", "ecdsa", 0, 1, profiles)
	validator := va.New(cfg.ErrorLog, cfg.HTTPPort, cfg.TLSPort, false, cfg.Resolver, store)
	// Clients ask again when they like.
	front := wfe.New(cfg.ErrorLog, store, validator, authority, []string{"pebble.test"}, false, false, 0, 0)
	c := &CA{URL: "https://" + ln.Addr().String() + wfe.DirectoryPath, Identity: cfg.Identity, Root: authority.GetRootCert(0).PEM()}
	handler := front.Handler()
	c.srv = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == letsEncryptPath {
				r.URL.Path = wfe.DirectoryPath
			}
			if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/order-plz") {
				c.orders.Add(1)
			}
			if strings.Contains(r.URL.Path, "/renewalInfo/") {
				widen(w, r, handler)
				return
			}
			handler.ServeHTTP(w, r)
		}),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cfg.Identity.pair}},
		ErrorLog:  cfg.ErrorLog,
	}
	go func() { // ends with Close
		if err := c.srv.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			cfg.ErrorLog.Print(err)
		}
	}()
	return c, nil
}

// widen lets the window in which a certificate is to be renewed begin a minute
// earlier. For one that was revoked pebble has a window of a second, which
// clients take for none; Let's Encrypt has one of half an hour.
func widen(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, r)
	var info struct {
		Window struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"suggestedWindow"`
	}
	body := rec.Body.Bytes()
	if rec.Code == http.StatusOK && json.Unmarshal(body, &info) == nil {
		info.Window.Start = info.Window.Start.Add(-time.Minute)
		body, _ = json.Marshal(info) // of times, which cannot fail
	}
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(rec.Code)
	w.Write(body)
}

// An Identity is the certificate of a CA's own URL, on loopback or at a host of
// its own.
type Identity struct {
	PEM  []byte // to be trusted
	pair tls.Certificate
}

// NewIdentity makes a certificate that signs itself, for hosts too.
func NewIdentity(hosts ...string) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hosts, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &Identity{
		PEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}, nil
}
