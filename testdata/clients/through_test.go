package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// readmeBlock returns what README.md shows as a file of a language, the first that
// begins so.
func readmeBlock(t *testing.T, language, begin string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(readme), "\n```"+language+"\n"+begin)
	block, _, ended := strings.Cut(rest, "\n```\n")
	if !begun || !ended {
		t.Fatalf("README.md shows no %s", language)
	}
	return begin + block + "\n"
}

// within replaces each old text in s, which must be there, by a new one.
func within(t *testing.T, s string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(s, oldNew[i]) {
			t.Fatalf("there is no %q in\n%s", oldNew[i], s)
		}
		s = strings.ReplaceAll(s, oldNew[i], oldNew[i+1])
	}
	return s
}

// A site is where a front stands: its address, the relay's behind it, and its
// certificate.
type site struct{ dir, addr, relay, cert, key string }

// nginxFront and haproxyFront run the fronts that README.md shows.
func nginxFront(t *testing.T, s site) *rig.Process {
	nginx := tool(t, "nginx", "nginx")
	block := within(t, readmeBlock(t, "nginx", ""), "443", s.addr, "share.example.com *.share.example.com", "localhost *.localhost",
		"cert.pem", s.cert, "key.pem", s.key, "127.0.0.1:7070", s.relay)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	temps := ""
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temps += fmt.Sprintf("%s_temp_path %s;\n", name, filepath.Join(s.dir, name))
	}
	file := filepath.Join(s.dir, "nginx.conf")
	config := fmt.Sprintf("daemon off;\n%s\npid %s;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n", user, filepath.Join(s.dir, "pid"), temps, block)
	return launch(t, file, config, s.addr, nginx, "-p", s.dir, "-e", "stderr", "-c", file)
}

func haproxyFront(t *testing.T, s site) *rig.Process {
	haproxy := tool(t, "haproxy", "haproxy")
	var both []byte
	for _, name := range []string{s.cert, s.key} {
		pem, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, pem...)
	}
	pair := filepath.Join(s.dir, "both")
	if err := os.WriteFile(pair, both, 0o600); err != nil {
		t.Fatal(err)
	}
	block := within(t, readmeBlock(t, "haproxy", ""), ":443", s.addr, "cert-and-key.pem", pair, "127.0.0.1:7070", s.relay)
	file := filepath.Join(s.dir, "haproxy.cfg")
	config := "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n" + block
	return launch(t, file, config, s.addr, haproxy, "-db", "-f", file)
}

// launch writes a configuration and runs the program that it is for, until the
// test ends. It returns when the program listens at addr.
func launch(t *testing.T, file, config, addr, program string, args ...string) *rig.Process {
	t.Helper()
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := rig.Start(program, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, filepath.Base(program), p)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(15 * time.Second)
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return p
		}
		select {
		case <-tick.C:
		case <-p.Done():
			t.Fatalf("%s ended\n%s", program, p.Log())
		case <-timeout:
			t.Fatalf("nothing listens at %s\n%s", addr, p.Log())
		}
	}
}

// freeAddr is an address on loopback where nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// digest answers with the digest of what it was sent.
func digest(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%s %x", r.URL.Path, h.Sum(nil))
}

// wantDigest asks a place for digest, with little and with much.
func wantDigest(t *testing.T, p place, secure bool) {
	t.Helper()
	for _, size := range []int{0, 1, 3 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url(secure)+"/path", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.client(t, secure).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("/path %x", sha256.Sum256(body)); err != nil || string(got) != want {
			t.Errorf("%d bytes: got %d %.100q, %v", size, resp.StatusCode, got, err)
		}
	}
}

// awaitReady returns when an agent has said that it is ready, with all texts.
func awaitReady(t *testing.T, agent *rig.Agent, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	err := agent.Await(ctx, func(line []byte) bool {
		for _, text := range append(texts, `"event":"ready"`) {
			if !bytes.Contains(line, []byte(text)) {
				return false
			}
		}
		return true
	})
	if err != nil {
		t.Errorf("not ready with %q: %v", texts, err)
	}
}

// TestFronts has agent and visitors meet a relay behind a front that ends TLS,
// as README.md sets it up.
func TestFronts(t *testing.T) {
	for name, start := range map[string]func(*testing.T, site) *rig.Process{"nginx": nginxFront, "haproxy": haproxyFront} {
		t.Run(name, func(t *testing.T) {
			s := site{dir: t.TempDir(), addr: freeAddr(t)}
			var err error
			if s.cert, s.key, err = rig.WriteCert(s.dir, "x.localhost"); err != nil {
				t.Fatal(err)
			}
			tokens := filepath.Join(s.dir, "tokens")
			if err := os.WriteFile(tokens, []byte("ci secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(s.addr)
			bin := share(t)
			relay, err := rig.StartRelay(t.Context(), bin, "--http", "127.0.0.1:0", "--token-file", tokens,
				"--public-url", "https://localhost:"+port, "--trusted-proxies", "127.0.0.1/32")
			if err != nil {
				t.Fatal(err)
			}
			closeWith(t, "relay", relay.Process)
			s.relay = relay.Doors["http"]
			start(t, s)
			target := serve(t, http.HandlerFunc(digest))
			agent, err := rig.StartAgent(t.Context(), bin, filepath.Join(s.dir, "state"), target.http, "--relay", "https://localhost:"+port,
				"--relay-ca", s.cert, "--token-file", tokens, "--name", "x")
			if err != nil {
				t.Fatalf("%v\nrelay: %s", err, relay.Log())
			}
			closeWith(t, "agent", agent.Process)
			awaitReady(t, agent, `"verified":true`, `"via":"WebSocket"`)
			wantDigest(t, place{tls: s.addr, host: "x.localhost", ca: s.cert}, true)
		})
	}
}

// TestProxy has an agent reach a relay through tinyproxy, which wants a
// password.
func TestProxy(t *testing.T) {
	tinyproxy := tool(t, "tinyproxy", "tinyproxy-bin")
	// The machine's own name: for a relay on loopback no proxy is asked.
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host = strings.ToLower(host)
	if _, err := net.LookupHost(host); err != nil || host == "localhost" {
		t.Skipf("this machine's name %q leads nowhere: %v", host, err)
	}
	dir, bin := t.TempDir(), share(t)
	cert, key, err := rig.WriteCert(dir, host, "*."+host)
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("ci secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	relay, err := rig.StartRelay(t.Context(), bin, "--http", "127.0.0.1:0", "--https", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key,
		"--domain", host, "--token-file", tokens)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, "relay", relay.Process)
	_, port, _ := net.SplitHostPort(relay.Doors["https"])
	addr := freeAddr(t)
	_, proxyPort, _ := net.SplitHostPort(addr)
	file, log := filepath.Join(dir, "tinyproxy.conf"), filepath.Join(dir, "log")
	launch(t, file, fmt.Sprintf("Port %s\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth user word\nConnectPort %s\nLogFile %q\nLogLevel Connect\n",
		proxyPort, port, log), addr, tinyproxy, "-d", "-c", file)

	target := serve(t, http.HandlerFunc(digest))
	args := []string{target.http, "--relay", "https://" + net.JoinHostPort(host, port), "--relay-ca", cert, "--token-file", tokens, "--name", "x"}
	t.Setenv("NO_PROXY", "")
	t.Setenv("HTTPS_PROXY", "http://user:word@"+addr)
	agent, err := rig.StartAgent(t.Context(), bin, filepath.Join(dir, "state"), args...)
	if err != nil {
		t.Fatalf("%v\nrelay: %s", err, relay.Log())
	}
	closeWith(t, "agent", agent.Process)
	awaitReady(t, agent, `"via":"proxy `+addr+`"`)
	wantDigest(t, place{http: relay.Doors["http"], host: "x." + host, ca: cert}, false)
	said, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(said), "CONNECT "+host+":"+port) {
		t.Errorf("the proxy was not asked: %v\n%s", err, said)
	}

	t.Setenv("HTTPS_PROXY", "http://user:wrong@"+addr)
	t.Setenv("SHARE_STATE_DIR", filepath.Join(dir, "other"))
	out, err := output(t, dir, bin, append([]string{"http"}, args...)...)
	if err == nil || !strings.Contains(out, "answered CONNECT with 40") || strings.Contains(out, "wrong") {
		t.Errorf("with a wrong password: %v\n%s", err, out)
	}
}
