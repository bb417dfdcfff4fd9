//go:build linux

package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"share/relay/identity/identitytest"
	"share/testdata/bench/rig"
	"share/testdata/pebble"
)

// What the documents call things.
const (
	domain    = "share.example.com"
	customer  = "app.acme.com"
	issuer    = "ci.example.com"
	challenge = "_acme-challenge." + domain

	letsEncrypt = "acme-v02.api.letsencrypt.org"
)

// A world is what lies around the machine that a document is about: a CA that
// passes for Let's Encrypt, the DNS that it looks at, a DNS server that takes
// updates, an issuer of identity tokens, and a proxy that leads to all of them,
// and to the machine, by the names that the documents have.
type world struct {
	folder string // of its files
	ports  ports
	ca     *pebble.CA
	dns    *pebble.Resolver
	asked  string // where dns answers
	issuer *identitytest.Issuer
	proxy  *httptest.Server

	primary   *pebble.Primary
	primaryAt string

	cert, key string         // of the domain, its wildcard and the issuer, signed by itself
	own       *x509.CertPool // trusts that
	public    *x509.CertPool // trusts what the CA has signed
	roots     string         // the file of both

	places  map[string]string // where hosts are that are not the relay's
	passing sync.WaitGroup    // connections in the proxy
	hooked  atomic.Int64      // how often the hook has changed the DNS
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{folder: t.TempDir(), ports: openPorts(t), public: x509.NewCertPool()}
	w.dns = &pebble.Resolver{
		Zones:  map[string]string{},
		TXTs:   map[string][]string{},
		CNAMEs: map[string]string{customer: "web." + domain},
		Hosts:  map[string]string{domain: "127.0.0.1", "web." + domain: "127.0.0.1"},
	}
	w.primary = &pebble.Primary{Zone: domain + ".", Key: "share.", Secret: "c2VjcmV0", Algorithm: "hmac-sha256."}
	identity, err := pebble.NewIdentity(letsEncrypt)
	if err != nil {
		t.Fatal(err)
	}
	if w.asked, err = w.dns.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.dns.Close)
	if w.primaryAt, err = w.primary.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.primary.Close)
	w.ca, err = pebble.Start(pebble.Config{Resolver: w.asked, HTTPPort: w.ports.number("redirect"), TLSPort: w.ports.number("https"), Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.ca.Close() })
	w.certify(t)
	pair, err := tls.LoadX509KeyPair(w.cert, w.key)
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = identitytest.New(&pair)
	t.Cleanup(w.issuer.Close)
	w.places = map[string]string{letsEncrypt: hostOf(w.ca.URL), issuer: hostOf(w.issuer.URL)}
	w.issuer.URL = "https://" + issuer
	w.proxy = httptest.NewServer(http.HandlerFunc(w.lead))
	t.Cleanup(func() {
		w.proxy.Close()
		w.passing.Wait()
	})
	return w
}

// certify makes the certificate of the domain, in place of one that was made
// before, and the file of what is to be trusted.
func (w *world) certify(t *testing.T) {
	t.Helper()
	var err error
	if w.cert, w.key, err = rig.WriteCert(w.folder, domain, "*."+domain, issuer); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(w.cert)
	if err != nil {
		t.Fatal(err)
	}
	w.own = x509.NewCertPool()
	w.own.AppendCertsFromPEM(pem)
	w.public.AppendCertsFromPEM(w.ca.Root)
	w.roots = filepath.Join(w.folder, "roots.pem")
	if err := os.WriteFile(w.roots, append(append(pem, w.ca.Root...), w.ca.Identity.PEM...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// delegate has the DNS ask the server at addr for what proves the domain to the
// CA, or nobody, if that is empty.
func (w *world) delegate(addr string) {
	w.dns.Set(func() {
		delete(w.dns.Zones, challenge)
		if addr != "" {
			w.dns.Zones[challenge] = addr
		}
	})
}

// lead answers CONNECT: it leads to where a host of the documents is. It is what
// an operator's hook changes the DNS by, too.
func (w *world) lead(rw http.ResponseWriter, req *http.Request) {
	w.passing.Add(1)
	defer w.passing.Done()
	if req.Method != http.MethodConnect {
		w.change(rw, req)
		return
	}
	rig.Connect(rw, req, w.place(req.Host))
}

// place is where a host and port of the documents is, empty if it is none.
func (w *world) place(hostport string) string {
	host, port, _ := net.SplitHostPort(hostport)
	switch {
	case w.places[host] != "":
		return w.places[host]
	case host == domain && port == "9443":
		return w.ports.addr("admin")
	case host == domain, host == customer, strings.HasSuffix(host, "."+domain):
		return w.ports.addr("https")
	}
	return ""
}

// hookText is a program that does what the relay asks of a hook.
func (w *world) hookText() string {
	return "#!/bin/sh\nexec curl -fsS \"" + w.proxy.URL + "/$1?fqdn=$2&value=$3\"\n"
}

// change is the other end of that.
func (w *world) change(rw http.ResponseWriter, req *http.Request) {
	w.hooked.Add(1)
	name, value := strings.TrimSuffix(req.FormValue("fqdn"), "."), req.FormValue("value")
	w.dns.Set(func() {
		switch req.URL.Path {
		case "/present":
			w.dns.TXTs[name] = append(w.dns.TXTs[name], value)
		case "/cleanup":
			delete(w.dns.TXTs, name)
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	})
}

// client asks as a visitor does who trusts roots. All hosts are this machine.
func client(roots *x509.CertPool) *http.Client {
	var d net.Dialer
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext:       toLoopback(d.DialContext),
	}}
}

// see returns what a URL answers, whatever its status.
func see(url string, roots *x509.CertPool) (string, error) {
	resp, err := client(roots).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + "\n" + string(body), err
}

// expect waits until a URL's answer has text in it.
func expect(t *testing.T, url string, roots *x509.CertPool, text string) {
	t.Helper()
	var got string
	var err error
	seen := false
	defer func() {
		if !seen {
			t.Logf("the last of %s: %v\n%s", url, err, got)
		}
	}()
	until(t, url+": "+text, func() bool {
		got, err = see(url, roots)
		return strings.Contains(got, text)
	})
	seen = true
}

// hostOf is the host and port of a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}
