package relay

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/acme"
	"share/tunnel"
)

// domains returns a relay, not served, whose store has a name of acme's and
// domains in every state.
func domains(t *testing.T) *Relay {
	t.Helper()
	a, _ := accounts(t)
	names := []account.Name{{Name: "web", Account: "acme", Reserved: true}, {Name: "other", Account: "other", Reserved: true}}
	if err := a.Keep(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, d := range []account.Domain{
		{Domain: "app.acme.test", Name: "web", Account: "acme", Token: "x", Added: now, Verified: now},
		{Domain: "doubt.acme.test", Name: "web", Account: "acme", Token: "x", Added: now, Verified: now, Doubted: now},
		{Domain: "new.acme.test", Name: "web", Account: "acme", Token: "x", Added: now},
		{Domain: "lost.acme.test", Name: "other", Account: "acme", Token: "x", Added: now, Verified: now}, // its name went to another
		{Domain: "gone.acme.test", Name: "gone", Account: "acme", Token: "x", Added: now, Verified: now},  // its name is nobody's
	} {
		if err := a.KeepDomain(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r, err := New(Config{Domain: "share.test", Accounts: a})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.public = url.URL{Scheme: "https", Host: "share.test:8443"}
	return r
}

// Only a verified domain leads anywhere, and only to its own account's tunnel.
func TestDomainsLead(t *testing.T) {
	r := domains(t)
	for host, want := range map[string]string{
		"app.acme.test": "web", "doubt.acme.test": "web", "new.acme.test": "", "lost.acme.test": "", "gone.acme.test": "", "acme.test": "", "web.share.test": "web",
	} {
		got := ""
		place := r.lookup([]byte(host))
		if place.Tunnel != nil {
			got = place.Tunnel.Name
		}
		if got != want || place.Home {
			t.Errorf("%s leads to %q, want %q", host, got, want)
		}
		wantURL := ""
		if want != "" {
			wantURL = "https://" + host + ":8443"
		}
		if got := r.elsewhere([]byte(host)); got != wantURL && host != "web.share.test" {
			t.Errorf("%s is served at %q, want %q", host, got, wantURL)
		}
		// No agent holds the name: a domain has a certificate all the same.
		wantFor := map[string]acme.Want{"app.acme.test": acme.Obtain, "doubt.acme.test": acme.Show, "web.share.test": acme.Show}[host]
		if got := r.certifies(host); got != wantFor {
			t.Errorf("%s may have a certificate: got %d, want %d", host, got, wantFor)
		}
	}
}

// A domain that the relay's own certificate is not for is no secret.
func TestDomainProblem(t *testing.T) {
	r := domains(t)
	log := &lines{}
	r.log = newLogger(log)
	r.certificate = newCertificate(t, "share.test", "*.share.test", "app.acme.test")
	for _, d := range r.domains.List() {
		if want := d.Domain.Domain != "app.acme.test" && !d.Verified.IsZero(); (d.Problem != "") != want {
			t.Errorf("%s: %q", d.Domain.Domain, d.Problem)
		}
	}
	r.warnOfDomains()
	if !log.line("visitors do not reach domains", "count=3", "doubt.acme.test,gone.acme.test,lost.acme.test") {
		t.Errorf("the log: %s", log)
	}

	// Where a CA is asked, each has its own; and a front may have what it likes.
	kept, err := acme.New(acme.Config{Domain: "share.test", Directory: "https://ca.test/dir"})
	if err != nil {
		t.Fatal(err)
	}
	r.certificate, r.cfg.ACME = kept, kept
	if got := r.domainProblem("other.test"); got != "" {
		t.Errorf("with a CA: %q", got)
	}
	r.certificate, r.cfg.ACME = nil, nil
	if got := r.domainProblem("other.test"); got != "" {
		t.Errorf("behind a front: %q", got)
	}
}

// A CA that would find no proof at its ports is told of, where it matters.
func TestProofsLost(t *testing.T) {
	tests := []struct {
		about string
		doors map[string]bool // addresses, and whether the door speaks TLS
		warns bool
	}{
		{"the usual", map[string]bool{"0.0.0.0:443": true, "0.0.0.0:80": false}, false},
		{"TLS alone", map[string]bool{"[::]:443": true}, false},
		{"in plain alone", map[string]bool{"127.0.0.1:8443": true, "127.0.0.1:80": false}, false},
		{"elsewhere", map[string]bool{"127.0.0.1:8443": true, "127.0.0.1:8080": false}, true},
		{"the other way round", map[string]bool{"127.0.0.1:80": true, "127.0.0.1:443": false}, true},
	}
	kept, err := acme.New(acme.Config{Domain: "share.test", Directory: "https://ca.test/dir"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		log := &lines{}
		r := &Relay{log: newLogger(log), cfg: Config{ACME: kept}}
		var doors []Door
		for addr, secret := range tt.doors {
			d := Door{Listener: at(addr)}
			if secret {
				d.Certificate = kept
			}
			doors = append(doors, d)
		}
		r.warnOfProofs(doors)
		if got := log.line("a CA looks for proofs"); got != tt.warns {
			t.Errorf("%s: it is said: %t", tt.about, got)
		}
	}
}

// at is a listener that has an address and no more.
type at string

func (a at) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (a at) Close() error              { return nil }
func (a at) Addr() net.Addr            { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(string(a))) }

func TestDomainWish(t *testing.T) {
	r := domains(t)
	tests := []struct {
		about         string
		account       string
		m             tunnel.Bind
		name, url, no string
	}{
		{"none", "acme", tunnel.Bind{Name: "x"}, "x", "", ""},
		{"one's own", "acme", tunnel.Bind{Domain: "APP.acme.test."}, "web", "https://app.acme.test:8443", ""},
		{"with its name", "acme", tunnel.Bind{Domain: "app.acme.test", Name: "web"}, "web", "https://app.acme.test:8443", ""},
		{"with another name", "acme", tunnel.Bind{Domain: "app.acme.test", Name: "x"}, "", "", "leads to the name web"},
		{"another account's", "other", tunnel.Bind{Domain: "app.acme.test"}, "", "", "is not the account's"},
		{"nobody's", "acme", tunnel.Bind{Domain: strings.Repeat("x", 100)}, "", "", "is not the account's"},
		{"not verified", "acme", tunnel.Bind{Domain: "new.acme.test"}, "", "", "is not verified"},
	}
	for _, tt := range tests {
		name, url, no := r.wish(&session{token: account.Token{Account: tt.account}}, &tt.m)
		if name != tt.name || url != tt.url || (tt.no == "") != (no == "") || !strings.Contains(no, tt.no) {
			t.Errorf("%s: got %q, %q, %q; want %q, %q, %q", tt.about, name, url, no, tt.name, tt.url, tt.no)
		}
	}
	open, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, no := open.wish(&session{}, &tunnel.Bind{Domain: "app.acme.test"}); !strings.Contains(no, "keeps no domains") {
		t.Errorf("without accounts: %q", no)
	}
}
