package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(grpcCaseEnv); name != "" {
		runInterop(name)
		return
	}
	os.Exit(m.Run())
}

// toolTime bounds one run of a client that is a program.
const toolTime = 2 * time.Minute

// tool returns the path of a program that the Debian package pkg brings.
// Without it the test is skipped; in CI it fails.
func tool(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install the Debian package %s", program, pkg)
	default:
		t.Skipf("%s is missing: install the Debian package %s", program, pkg)
	}
	return ""
}

// output runs a program in dir and returns all it printed.
func output(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is output for programs that must succeed.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	out, err := output(t, dir, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// place is where visitors of a server go: to the server itself, or through a
// tunnel to it.
type place struct {
	http string // address for HTTP/1.1 and HTTP/2 with prior knowledge
	tls  string // address for TLS with ALPN
	host string // the name to ask for, without a port
	ca   string // file with the authority of the TLS address
}

// client returns an HTTP client whose every connection goes to the place,
// over TLS with HTTP/2 or in plain HTTP/1.1.
func (p place) client(t *testing.T, secure bool) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, ForceAttemptHTTP2: secure}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr := p.http
		if secure {
			addr = p.tls
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	transport.TLSClientConfig = p.tlsConfig(t)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (p place) tlsConfig(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: p.host}
}

// url is the place's, for clients that client made.
func (p place) url(secure bool) string {
	_, port, _ := net.SplitHostPort(p.http)
	if secure {
		_, port, _ = net.SplitHostPort(p.tls)
		return "https://" + p.host + ":" + port
	}
	return "http://" + p.host + ":" + port
}

// serve runs a handler in plain text (HTTP/1.1 and HTTP/2) and over TLS.
func serve(t *testing.T, h http.Handler) place {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := rig.WriteCert(dir)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := listen(t), listen(t)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	quiet := log.New(io.Discard, "", 0) // what h2spec does to it fills pages
	srv := &http.Server{Handler: h, Protocols: protocols, ErrorLog: quiet}
	go srv.Serve(plain) // it and the next end with Close
	go srv.ServeTLS(secure, cert, key)
	t.Cleanup(func() { srv.Close() })
	return place{plain.Addr().String(), secure.Addr().String(), "localhost", cert}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// share returns the path of the binary under test.
func share(t *testing.T) string {
	t.Helper()
	bin, err := rig.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// tunnel runs a relay and an agent before a target, and returns the way
// through them. args go to the agent.
func tunnel(t *testing.T, target string, args ...string) place {
	t.Helper()
	bin, dir := share(t), t.TempDir()
	cert, key, err := rig.WriteCert(dir, "x.localhost")
	if err != nil {
		t.Fatal(err)
	}
	relay, err := rig.StartRelay(t.Context(), bin,
		"--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, "relay", relay.Process)
	args = append([]string{target, "--relay", "https://" + relay.Doors["https"], "--relay-ca", cert, "--name", "x"}, args...)
	agent, err := rig.StartAgent(t.Context(), bin, filepath.Join(dir, "state"), args...)
	if err != nil {
		t.Fatalf("%v\nrelay: %s", err, relay.Log())
	}
	closeWith(t, "agent", agent.Process)
	return place{relay.Doors["http"], relay.Doors["https"], "x.localhost", cert}
}

// embedded runs an agent with the relay inside, and returns the address that
// leads to the target under any of the loopback's names.
func embedded(t *testing.T, target string) string {
	t.Helper()
	agent, err := rig.StartAgent(t.Context(), share(t), t.TempDir(), target)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, "agent", agent.Process)
	_, port, ok := strings.Cut(strings.TrimPrefix(agent.URL, "http://"), ":")
	if !ok {
		t.Fatalf("no port in %q", agent.URL)
	}
	return net.JoinHostPort("127.0.0.1", strings.TrimSuffix(port, "/"))
}

// closeWith ends a process with the test, and shows its log if that failed.
func closeWith(t *testing.T, name string, p *rig.Process) {
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			fmt.Fprintf(t.Output(), "%s:\n%s\n", name, p.Log())
		}
	})
}
