package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	acmeapi "github.com/mholt/acmez/v3/acme"

	"share/testdata/pebble"
)

// Started again, a relay shows what it has: no order, and the CA need not be
// there.
func TestStoredCertificates(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	dir := t.TempDir()
	k := keep(t, ca, dir, records, nil)
	first := k.await("web.share.test", nil)
	k.await("share.test", nil)
	k.stop()

	k = keep(t, ca, dir, records, nil)
	if got := k.await("web.share.test", nil); !got.Equal(first) {
		t.Error("another certificate is shown")
	}
	until(t, "it is looked at", func() bool { return k.looked("*.share.test") })
	k.stop()
	if got := ca.Orders(); got != 2 {
		t.Errorf("there were %d orders, want the first 2", got)
	}

	ca.Close()
	k = keep(t, ca, dir, records, nil)
	if got := k.await("web.share.test", nil); !got.Equal(first) {
		t.Error("without the CA, another certificate is shown")
	}
	until(t, "it is looked at", func() bool { return k.looked("*.share.test") })
	if k.log.has("level=WARN") {
		t.Error("a CA is missed that is not needed")
	}
}

// What is stored for the domain is shown as soon as the folder is open: where a relay
// takes another's place, visitors wait at its doors.
func TestStoredCertificatesAtOnce(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	dir := t.TempDir()
	k := keep(t, ca, dir, records, nil)
	k.await("web.share.test", nil)
	k.await("share.test", nil)
	k.stop()

	c, err := New(k.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(dir); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"share.test", "web.share.test"} {
		if pair, err := c.Certificate(hello(host)); pair == nil || err != nil {
			t.Errorf("%s: %v, %v", host, pair, err)
		}
	}
}

// looked reports whether a host has been looked at.
func (k *kept) looked(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hosts[name]
	return h != nil && !h.due.IsZero()
}

// Files that do not make a certificate, as a crash may leave them, are replaced
// by what the CA gives.
func TestTornFiles(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	dir := t.TempDir()
	k := keep(t, ca, dir, records, nil)
	first := k.await("web.share.test", nil)
	k.await("share.test", nil)
	k.stop()

	find := func(pattern string) string {
		files, err := filepath.Glob(filepath.Join(dir, "certificates", "*", "*", pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		return files[0]
	}
	other, err := os.ReadFile(find("share.test.key"))
	if err != nil {
		t.Fatal(err)
	}
	key := find("wildcard_.share.test.key")
	if err := os.WriteFile(key, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(find("share.test.crt"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	k = keep(t, ca, dir, records, nil)
	k.await("web.share.test", first)
	k.await("share.test", nil)
	trusted(t, ca, k, "web.share.test")
	trusted(t, ca, k, "share.test")
	if !k.log.has("a stored certificate cannot be used\" host=*.share.test") {
		t.Error("it is not said")
	}
}

// A certificate is renewed when its time comes, with a new key, and at once for
// those who come then. (The time of one that lasts for half an hour has come.)
func TestRenew(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr, Validity: 30 * time.Minute})
	dir := t.TempDir()
	k := keep(t, ca, dir, records, nil)
	first := k.await("web.share.test", nil)
	until(t, "it is looked at", func() bool { return k.looked("*.share.test") })
	k.stop()

	k = keep(t, ca, dir, records, nil)
	second := k.await("web.share.test", first)
	if bytes.Equal(first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo) {
		t.Error("the key is the old one")
	}
	trusted(t, ca, k, "web.share.test")
	k.stop()

	// While the CA does not answer, the last one is shown, and it is said.
	ca.Close()
	k = keep(t, ca, dir, records, nil)
	if got := k.await("web.share.test", nil); !got.Equal(second) {
		t.Error("another certificate is shown")
	}
	until(t, "it is said", func() bool {
		return k.log.has("the certificate cannot be renewed: the stored one serves on\" host=*.share.test")
	})
	if !k.log.has("connection refused") {
		t.Error("it is not said why")
	}
	if got := k.leaf("web.share.test"); !got.Equal(second) {
		t.Error("another certificate is shown after that")
	}

	// When it answers again, even if it has forgotten everything, there is a
	// new one.
	again := startCA(t, pebble.Config{Addr: strings.TrimSuffix(strings.TrimPrefix(ca.URL, "https://"), "/dir"), Identity: ca.Identity, Resolver: addr})
	k.await("web.share.test", second)
	trusted(t, again, k, "web.share.test")
}

// A certificate that the CA has revoked is replaced: the CA says that it is to
// be renewed at once.
func TestRevoked(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	dir := t.TempDir()
	k := keep(t, ca, dir, records, nil)
	first := k.await("web.share.test", nil)
	k.await("share.test", nil)
	until(t, "it is looked at", func() bool { return k.looked("*.share.test") })
	k.stop()

	i := newIssuer(&k.cfg, k.library.Storage.(*folder), &k.proofs)
	client := i.newClient(nil)
	account, err := i.storedAccount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.RevokeCertificate(t.Context(), account, first, account.PrivateKey, acmeapi.ReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	i.client.CloseIdleConnections()
	askAgain(t, dir)

	k = keep(t, ca, dir, records, nil)
	k.await("web.share.test", first)
	trusted(t, ca, k, "web.share.test")
	if got := ca.Orders(); got != 3 {
		t.Errorf("there were %d orders, want one more than the first 2", got)
	}
}

// askAgain makes it time to ask the CA when certificates are to be renewed: it
// has said for how many hours that is known.
func askAgain(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "certificates", "*", "*", "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		var data map[string]any
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		info, ok := data["issuer_data"].(map[string]any)["renewal_info"].(map[string]any)
		if !ok {
			t.Fatalf("%s does not say when to renew: %s", file, text)
		}
		info["_retryAfter"] = time.Now().Add(-time.Hour)
		if text, err = json.Marshal(data); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// An order that fails says why, on one line, and is tried again.
func TestOrderFails(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	tests := []struct {
		about   string
		records Records
		want    string
	}{
		{"the value is not there", nowhere{}, "share.test: "},
		{"the way is barred", failing{}, "the way is barred"},
	}
	for _, tt := range tests {
		k := keep(t, ca, t.TempDir(), tt.records, nil)
		until(t, tt.about, func() bool {
			return strings.Count(k.log.String(), "there is no certificate, and who comes by TLS is turned away") >= 2
		})
		if _, err := k.Certificate(hello("web.share.test")); err == nil {
			t.Errorf("%s: a certificate is shown", tt.about)
		}
		k.stop()
		if !k.log.has(tt.want) {
			t.Errorf("%s: it is not said that %q", tt.about, tt.want)
		}
	}
	k := keep(t, ca, t.TempDir(), records, nil)
	k.await("web.share.test", nil) // the CA is well
}

// A value that cannot be taken away is told of.
func TestValueStays(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	k := keep(t, ca, t.TempDir(), staying{records}, nil)
	k.await("web.share.test", nil)
	if !k.log.has("may stay in the DNS\" name=_acme-challenge.share.test. error=\"it stays\"") {
		t.Error("it is not said")
	}
}

type staying struct{ Records }

func (staying) Remove(context.Context, string, string) error { return errors.New("it stays") }

type nowhere struct{}

func (nowhere) Present(context.Context, string, string) error { return nil }
func (nowhere) Remove(context.Context, string, string) error  { return nil }

type failing struct{ nowhere }

func (failing) Present(context.Context, string, string) error { return errors.New("the way is barred") }
