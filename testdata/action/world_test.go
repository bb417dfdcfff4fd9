//go:build linux

package action

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"share/relay/identity/identitytest"
	"share/testdata/bench/rig"
)

// domain is the relay's.
const domain = "share.example.com"

// A world is what lies around a job: a relay that trusts its repository, the issuer
// of its identity, and the proxy that leads to the relay by its name.
type world struct {
	*runner
	bin     string
	cert    string // of all there is
	data    string // the relay's
	issuer  *identitytest.Issuer
	target  string         // a port that serves
	proxy   *url.URL       // to the relay
	passing sync.WaitGroup // connections in the proxy
}

// newWorld begins a job that the relay lets in, for names that begin with web-.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{bin: build(t), data: filepath.Join(t.TempDir(), "data")}
	cert, key, err := rig.WriteCert(t.TempDir(), domain, "*."+domain)
	if err != nil {
		t.Fatal(err)
	}
	w.cert = cert
	t.Setenv("SSL_CERT_FILE", cert)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	w.issuer = identitytest.New(&pair)
	t.Cleanup(w.issuer.Close)
	relay, err := rig.StartRelay(t.Context(), w.bin, "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
		"--public-url", "https://"+domain, "--data", w.data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		relay.Close()
		if t.Failed() {
			t.Log("relay:", relay.Log())
		}
	})
	w.lead(t, relay.Doors["https"])
	w.relay(t, "trust", "github", "repo:acme/web", "--issuer", w.issuer.URL, "--names", "web-*")
	target := httptest.NewServer(http.HandlerFunc(tell))
	t.Cleanup(target.Close)
	_, w.target, _ = net.SplitHostPort(target.Listener.Addr().String())

	w.runner = newRunner(t)
	w.env["SSL_CERT_FILE"], w.env["HTTPS_PROXY"] = cert, w.proxy.String()
	w.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = identitytest.Secret
	w.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = w.issuer.URL + "/token?sub=repo:acme/web:pull_request&repository=acme/web&repository_id=74&repository_owner_id=65"
	return w
}

// relay gives the relay a command, and returns what that writes.
func (w *world) relay(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), w.bin, append(append([]string{"relay"}, args...), "--data", w.data)...).CombinedOutput()
	if err != nil {
		t.Fatalf("share relay %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// lead begins a proxy that leads every host to addr.
func (w *world) lead(t *testing.T, addr string) {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.passing.Add(1)
		defer w.passing.Done()
		rig.Connect(rw, req, addr)
	}))
	t.Cleanup(func() {
		proxy.Close()
		w.passing.Wait()
	})
	w.proxy = &url.URL{Scheme: "http", Host: proxy.Listener.Addr().String()}
}

// visit asks for a URL as a visitor does, and returns the status and the body.
func (w *world) visit(t *testing.T, at string) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read(t, w.cert)))
	transport := &http.Transport{Proxy: http.ProxyURL(w.proxy), DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", at, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// expect sees that what a visitor gets has text.
func (w *world) expect(t *testing.T, at, text string) {
	t.Helper()
	if _, body := w.visit(t, at); !strings.Contains(body, text) {
		t.Errorf("%s: got %q, want %q in it", at, body, text)
	}
}

// share is a step that shares the target by the relay, with other inputs.
func (w *world) share(with map[string]string) step {
	s := step{ID: "share", Uses: "acme/share/.github/actions/share@main", With: map[string]string{
		"target": w.target, "relay": domain, "name": "web-pr-12", "binary": w.bin,
	}}
	for name, value := range with {
		s.With[name] = value
	}
	return s
}

// serve is a port, and the command of bash that serves there.
func (w *world) serve(t *testing.T) (port, command string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	w.env["SERVER"], w.env[serving] = self, addr
	_, port, _ = strings.Cut(addr, ":")
	return port, `"$SERVER"`
}

// stop is the step that ends it.
var stop = step{Uses: "acme/share/.github/actions/share/stop@main", With: map[string]string{"name": "${{ steps.share.outputs.name }}"}}
