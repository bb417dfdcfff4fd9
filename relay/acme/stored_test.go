package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	acmeapi "github.com/mholt/acmez/v3/acme"

	"share/testdata/pebble"
)

// stored returns a keeper that does not run, at whose CA nobody listens, and where
// it has stored a certificate for a host, that ends at a time.
func stored(t *testing.T, want Want) (k *keeper, store func(host string, ends time.Time) (file string)) {
	t.Helper()
	c, err := New(Config{Domain: "share.test", Directory: "https://127.0.0.1:1/dir", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Open(dir); err != nil {
		t.Fatal(err)
	}
	c.want = func(string) Want { return want }
	k = c.newKeeper()
	t.Cleanup(k.cache.Stop)
	return k, func(host string, ends time.Time) string {
		file := filepath.Join(dir, filepath.FromSlash(certmagic.StorageKeys.SiteCert(k.magic.Issuers[0].IssuerKey(), host)))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		cert, key := selfSigned(t, host, ends)
		for ext, text := range map[string][]byte{".crt": cert, ".key": key, ".json": fmt.Appendf(nil, `{"sans":[%q]}`, host)} {
			if err := os.WriteFile(strings.TrimSuffix(file, ".crt")+ext, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return file
	}
}

// selfSigned makes a certificate for a host and its key, PEM.
func selfSigned(t *testing.T, host string, ends time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: ends.Add(-90 * 24 * time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// While an agent is away its host is shown the certificate that there is, and none
// is ordered; a host that has none leaves nothing behind.
func TestShow(t *testing.T) {
	ended := time.Now().Add(-time.Minute)
	lasting := time.Now().Add(time.Hour)
	tests := []struct {
		about string
		want  Want
		ends  time.Time // of what is stored; nothing is if zero
		shown bool
	}{
		{"an agent that is away", Show, lasting, true},
		{"one that has come back", Obtain, lasting, true},
		{"a stranger's", Nothing, lasting, false},
		{"one that has ended", Show, ended, false},
		{"none", Show, time.Time{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			const host = "web.share.test"
			k, store := stored(t, tt.want)
			if !tt.ends.IsZero() {
				store(host, tt.ends)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				k.work(t.Context())
			}()
			t.Cleanup(func() { <-done })
			pair, err := k.demand(t.Context(), host)
			if (pair != nil) != tt.shown || (err == nil) != tt.shown {
				t.Errorf("got %v, %v", pair, err)
			}
			if known := k.known()[host]; known != tt.shown {
				t.Errorf("it is known: %t", known)
			}
		})
	}
}

// What is due for a host depends on what may be done for it.
func TestLook(t *testing.T) {
	lasting, ended := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	tests := []struct {
		about, host string
		want        Want
		ends        time.Time
		known, kept bool // it is shown on; it is stored still
	}{
		{"an agent that is away", "web.share.test", Show, lasting, true, true},
		{"away for too long", "web.share.test", Show, ended, false, true},
		{"a name that is nobody's", "web.share.test", Nothing, lasting, false, true},
		{"a domain in doubt", "app.acme.test", Show, lasting, true, true},
		{"a domain that was taken away", "app.acme.test", Nothing, lasting, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			k, store := stored(t, tt.want)
			file := store(tt.host, tt.ends)
			pair, err := k.load(t.Context(), tt.host)
			if err != nil {
				t.Fatal(err)
			}
			k.hosts[tt.host] = &host{pair: pair}
			k.look(t.Context(), tt.host)
			if known := k.known()[tt.host]; known != tt.known {
				t.Errorf("it is shown: %t", known)
			}
			if _, err := os.Stat(file); (err == nil) != tt.kept {
				t.Errorf("it is stored: %v", err)
			}
		})
	}
}

// Stored certificates that have ended do not pile up.
func TestSweep(t *testing.T) {
	k, store := stored(t, Nothing)
	now := time.Now()
	long := now.Add(-keepEnded - time.Hour)
	wants := map[string]bool{
		store("ended.share.test", long):                    false,
		store("ended.acme.test", long):                     false,
		store("just.share.test", now.Add(-time.Hour)):      true,
		store("lasting.share.test", now.Add(time.Hour)):    true,
		store("share.test", long):                          true, // it is looked after
		store("*.share.test", long):                        true,
		store("unreadable.share.test", now.Add(time.Hour)): true,
	}
	for _, name := range []string{"share.test", "*.share.test"} {
		k.hosts[name] = new(host)
	}
	for file := range wants {
		if strings.Contains(file, "unreadable") {
			if err := os.WriteFile(file, []byte("torn"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.sweep(t.Context(), now)
	for file, want := range wants {
		if _, err := os.Stat(file); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

// A certificate that is for another host, as if files were copied, is not shown.
func TestStoredForAnother(t *testing.T) {
	k, store := stored(t, Obtain)
	from, to := store("other.share.test", time.Now().Add(time.Hour)), store("web.share.test", time.Now().Add(time.Hour))
	for _, ext := range []string{".crt", ".key"} {
		text, err := os.ReadFile(strings.TrimSuffix(from, ".crt") + ext)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(strings.TrimSuffix(to, ".crt")+ext, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if k.stored(t.Context(), "web.share.test") {
		t.Error("it is shown")
	}
	if !k.stored(t.Context(), "other.share.test") {
		t.Error("the other's is not")
	}
}

// An account that cannot be read, as a crash may leave it, does not keep the relay
// from certificates for ever.
func TestTornAccount(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	for _, file := range []string{accountFile, accountKey} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			k := keep(t, ca, dir, records, nil)
			k.await("share.test", nil)
			k.await("web.share.test", nil)
			k.stop()
			files, err := filepath.Glob(filepath.Join(dir, "accounts", "*", file))
			if err != nil || len(files) != 1 {
				t.Fatalf("%q, %v", files, err)
			}
			if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, allCertificates)); err != nil {
				t.Fatal(err)
			}
			k = keep(t, ca, dir, records, nil)
			k.await("share.test", nil)
			if !k.log.has("the account at the CA cannot be used") {
				t.Error("it is not said")
			}
		})
	}
}

// A server that is no CA is told from one on a line that can be read.
func TestNoCA(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, strings.Repeat("<p>no such page\n", 10_000))
	}))
	defer srv.Close()
	identity := &pebble.Identity{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})}
	k := keep(t, &pebble.CA{URL: srv.URL + "/dir", Identity: identity}, t.TempDir(), nil, nil, unhurried)
	until(t, "it is said", func() bool { return k.log.has("there is no certificate") })
	k.stop()
	for line := range strings.Lines(k.log.String()) {
		if len(line) > 2*maxReason {
			t.Errorf("a line of %d bytes: %.200s", len(line), line)
		}
	}
	if !k.log.has("HTTP 404") {
		t.Error("it is not said why")
	}
}

// Where no door takes a CA that comes over HTTP, that is not tried: a CA counts
// what fails.
func TestWays(t *testing.T) {
	for _, plain := range []bool{true, false} {
		k, _ := stored(t, Obtain)
		k.proofs.setPlain(plain)
		ways := k.magic.Issuers[0].(*issuer).solvers(&x509.CertificateRequest{DNSNames: []string{"web.share.test"}})
		if _, ok := ways[acmeapi.ChallengeTypeHTTP01]; ok != plain {
			t.Errorf("plain %t: over HTTP %t", plain, ok)
		}
		if _, ok := ways[acmeapi.ChallengeTypeTLSALPN01]; !ok {
			t.Errorf("plain %t: not by a handshake", plain)
		}
	}
}
